#![doc = include_str!("../README.md")]

//! # Modules
//!
//! The crate's root has the names that most programs use, and [`prelude`] has those together with the operations of workflow
//! code. All names are in the module of their subject:
//!
//! | module | names |
//! | --- | --- |
//! | [`workflow`](mod@workflow) | operations of workflow code such as [`sleep`](workflow::sleep), [`spawn`](workflow::spawn), [`timeout`](workflow::timeout) and [`scope`](workflow::scope()); [`State`]; facts about the run such as [`now`](workflow::now), [`info`](workflow::info) and [`random`](workflow::random); [`WorkflowCall`], [`WorkflowError`] |
//! | [`activity`](mod@activity) | [`ActivityCall`] and its future, [`ActivityOptions`], [`RetryPolicy`]; [`ActivityContext`] and [`ActivityInfo`](activity::ActivityInfo) for activities; [`ActivityError`], [`ActivityFailure`](struct@ActivityFailure), [`CallError`] |
//! | [`client`] | [`Client`] and its [builder](client::ClientBuilder); [`WorkflowHandle`], calls of signals, queries and updates; [lists](client::WorkflowList), [descriptions](client::WorkflowDescription) and [histories](client::History) of workflows; [interceptors](client::ClientInterceptor); one error type for each kind of call |
//! | [`worker`] | [`Worker`] and its [builder](worker::WorkerBuilder); [interceptors](worker::WorkerInterceptor) |
//! | [`testing`] | [`WorkflowEnvironment`](testing::WorkflowEnvironment), [`ActivityEnvironment`](testing::ActivityEnvironment), mocks, [`Replayer`](testing::Replayer) |
//! | [`data`] | [`Failure`] and its kinds, [`Payload`](data::Payload), [`Headers`](data::Headers), [`PayloadCodec`](data::PayloadCodec) |
//! | [`raw`] | the protocol's own types |
//!
//! # Features
//!
//! Without features, this crate is a client: it starts, queries and observes workflows of other processes, typed by the same
//! `#[workflow]`s and `#[activity]`s as their workers. Features only add items.
//!
//! | feature | on by default | adds |
//! | --- | --- | --- |
//! | `worker` | yes | [`Worker`]: runs workflows and activities; [`testing`]: activities by themselves, histories replayed |
//! | `embedded` | yes | the engine in process, with SQLite: `memory:` and `sqlite:` addresses; with `worker`, [`testing::WorkflowEnvironment`] |
//! | `tls` | no | `https://` addresses, and `TlsOptions` for root and client certificates |
//! | `encryption` | no | `AesGcmCodec`: encrypts payloads, with keys that can be rotated |
//! | `profile` | no | `TEMPORAL_PROFILE` and `TEMPORAL_CONFIG_FILE`: named connection settings in a TOML file |
//!
//! A worker of a cluster needs `default-features = false, features = ["worker"]`.

#![cfg_attr(
    not(all(feature = "worker", feature = "embedded")),
    allow(
        dead_code,
        unused_imports,
        reason = "items that only a worker or a test environment uses stand beside others; they are linted with all features"
    )
)]
#![warn(missing_docs)]

extern crate self as everloop;

#[macro_use]
mod words;

pub mod activity;
pub mod client;
pub mod data;
#[cfg(feature = "embedded")]
mod embedded;
mod errors;
mod executor;
pub mod guide;
mod history;
mod macros;
mod notice;
pub mod raw;
mod registry;
mod returned;
mod tasks;
#[cfg(feature = "worker")]
pub mod testing;
#[cfg(feature = "worker")]
pub mod worker;
pub mod workflow;

pub use activity::{ActivityCall, ActivityContext, CallError};
pub use client::{Client, WorkflowHandle};
pub use data::{ActivityOptions, Failure, RetryPolicy};
pub use errors::{ActivityError, ActivityFailure, ActivityResult, Cancelled, WorkflowError, WorkflowResult};
pub use macros::{
    ActivityFailure, activities, activity, allow_nondeterminism, init, query, run, signal, update, workflow,
};
#[cfg(feature = "worker")]
pub use worker::Worker;
pub use workflow::{State, WorkflowCall};

/// The names that most programs need: `use everloop::prelude::*;`.
///
/// The operations that a workflow awaits have their own names, as in tokio: [`sleep`](workflow::sleep),
/// [`spawn`](workflow::spawn), [`select!`](crate::select). Facts about the run are called by their module, because a program
/// may have other items called *now* or *info*: [`workflow::now()`], [`workflow::info()`], [`workflow::uuid()`]. Your own
/// items and imports take precedence over those of the same name in the prelude.
pub mod prelude {
    pub use std::time::Duration;

    pub use serde::{Deserialize, Serialize};

    #[cfg(feature = "worker")]
    pub use crate::Worker;
    // The prelude has the attributes of methods so that a misplaced one is an error that names the right place. Attributes
    // have their own namespace, so functions and values called `run` or `query` are not affected.
    pub use crate::macros::{activities, allow_nondeterminism, init, query, run, signal, update};
    pub use crate::workflow::{
        cancelled, continue_as_new, join_all, scope, shield, sleep, sleep_until, spawn, timeout, wait_condition,
        yield_now,
    };
    // Each of these names is an attribute and a module.
    pub use crate::{
        ActivityCall, ActivityContext, ActivityError, ActivityFailure, ActivityResult, CallError, Client, State,
        WorkflowCall, WorkflowError, WorkflowHandle, WorkflowResult, join, select,
    };
    pub use crate::{activity, workflow};
}

/// All names that expansions use. Generated code mentions no other name of this crate, of serde or of std.
#[doc(hidden)]
pub mod __private {
    pub use std::boxed::Box;
    pub use std::clone::Clone;
    pub use std::convert::From;
    pub use std::fmt;
    pub use std::future::{Future, IntoFuture};
    pub use std::ops::Deref;
    pub use std::option::Option::{self, None, Some};
    pub use std::pin::Pin;
    pub use std::rc::Rc;
    pub use std::result::Result::{self, Err, Ok};
    pub use std::string::String;
    pub use std::stringify;
    pub use std::sync::Arc;
    pub use std::time::Duration;

    pub use tokio;

    pub use crate::activity::{
        Activity, ActivityCall, ActivityContext, CallErrorOf, Context, FailureParts, FunctionActivity, MethodActivity,
        Said, SaidByDebug, SaidByDisplay, TypedFailure,
    };
    pub use crate::client::{Client, Queries, QueryCall, SignalCall, Target, UpdateCall, Updates, WorkflowHandle};
    pub use crate::data::{
        ActivityCancellationType, ActivityOptions, Arguments, Codec, DecodeError, RetryPolicy, UnfinishedPolicy, codec,
        context_codec,
    };
    pub use crate::errors::{ActivityError, WorkflowError};
    pub use crate::executor::LocalFuture;
    pub use crate::raw::Payload;
    pub use crate::registry::{Activities, Registry};
    pub use crate::returned::{Plain, Returned, ReturnsOf, output, settle, settle_signal};
    pub use crate::tasks::SendFuture;
    pub use crate::workflow::{Handlers, InitialState, Message, Workflow, WorkflowCall};
    pub use crate::{join, select};
}
