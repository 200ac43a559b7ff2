#![doc = include_str!("../README.md")]

//! # Modules
//!
//! The crate's root has the names that most programs use, and [`prelude`] those together with the operations of workflow code. All
//! others are in the module of their subject: [`workflow`](mod@workflow), [`activity`](mod@activity), [`client`], [`worker`],
//! [`testing`], [`data`], and [`raw`] for the protocol's own types.
//!
//! # Features
//!
//! Without any, this crate is a client: it starts, asks and watches workflows that run elsewhere, typed by the same
//! `#[workflow]`s and `#[activity]`s as their workers. Each feature adds to that, and changes nothing that is there.
//!
//! | feature | on by default | adds |
//! | --- | --- | --- |
//! | `worker` | yes | [`Worker`]: runs workflows and activities; [`testing`]: activities by themselves, histories replayed |
//! | `embedded` | yes | the engine in process, with SQLite: `memory:` and `sqlite:` addresses; with `worker`, [`testing::WorkflowEnvironment`] |
//! | `tls` | no | `https://` addresses, and `TlsOptions` for whom to trust and what to show |
//! | `profile` | no | `TEMPORAL_PROFILE` and `TEMPORAL_CONFIG_FILE`: what to connect to, by name, in a TOML file |
//!
//! A worker of a cluster is `default-features = false, features = ["worker"]`.

#![cfg_attr(
    not(all(feature = "worker", feature = "embedded")),
    allow(
        dead_code,
        unused_imports,
        reason = "what only a worker or a test environment calls stands beside what all need; with all features it is linted"
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

/// Everything that most programs need: `use everloop::prelude::*;`.
///
/// The operations that a workflow awaits come by their own names, as in tokio: [`sleep`](workflow::sleep),
/// [`spawn`](workflow::spawn), [`select!`](crate::select). Facts about the run come by their module, because a program may
/// have other things called *now* or *info*: [`workflow::now()`], [`workflow::info()`], [`workflow::uuid()`]. An item or an
/// import of your own takes precedence over one of the same name from here.
pub mod prelude {
    pub use std::time::Duration;

    pub use serde::{Deserialize, Serialize};

    #[cfg(feature = "worker")]
    pub use crate::Worker;
    // The attributes of methods are here so that one in the wrong place is an error that names the right place. They are
    // known in attributes alone, so a function, a value or an import called `run` or `query` stays what it is.
    pub use crate::macros::{activities, allow_nondeterminism, init, query, run, signal, update};
    pub use crate::workflow::{
        cancelled, join_all, scope, shield, sleep, sleep_until, spawn, timeout, wait_condition, yield_now,
    };
    // Each is an attribute and a module.
    pub use crate::{
        ActivityCall, ActivityContext, ActivityError, ActivityFailure, ActivityResult, CallError, Client, State,
        WorkflowCall, WorkflowError, WorkflowHandle, WorkflowResult, join, select,
    };
    pub use crate::{activity, workflow};
}

/// Everything an expansion names. Nothing else of this crate, of serde or of std is mentioned by generated code.
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
