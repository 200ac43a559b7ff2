#![doc = include_str!("../README.md")]

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

extern crate self as everloop;

#[macro_use]
mod words;

mod activity;
mod client;
mod data;
#[cfg(feature = "embedded")]
mod embedded;
mod errors;
mod executor;
mod history;
mod macros;
mod notice;
mod registry;
mod returned;
mod tasks;
#[cfg(feature = "worker")]
mod worker;
mod workflow;

pub mod guide;
pub mod raw;
#[cfg(feature = "worker")]
pub mod testing;

pub use activity::{
    Activity, ActivityCall, ActivityCancelReason, ActivityContext, ActivityErrorOf, ActivityFn, ActivityFuture,
    ActivityHandle, ActivityInfo, CallError, CallErrorType, TaskToken, TypedFailure,
};
#[cfg(feature = "tls")]
pub use client::TlsOptions;
pub use client::{
    AsyncActivityHandle, Client, ClientBuilder, ClientInterceptor, ConnectError, ExecuteError, ForHandle, ForResult,
    HandleError, ListError, OutgoingCall, PendingActivity, Queries, QueryCall, QueryError, ResultError, RpcCode,
    RpcError, SignalCall, SignalError, StartCall, StartError, Target, Untyped, UpdateCall, UpdateError, UpdateHandle,
    UpdateStage, Updates, WithStart, WorkflowDescription, WorkflowHandle, WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy, WorkflowList, WorkflowStatus, WorkflowSummary,
};
#[cfg(feature = "embedded")]
pub use client::{ServeCall, ServeError, Serving};
pub use data::{
    ActivityCancellationType, ActivityOptions, DecodeError, EncodeError, Failure, FailureKind, Headers, OptionError,
    Payload, PayloadCodec, PayloadCodecError, Payloads, RetryPolicy, RetryState, TimeoutType, UnfinishedPolicy,
};
#[cfg(feature = "embedded")]
pub use embedded::{EngineClock, Jumping};
pub use errors::{ActivityError, ActivityFailure, ActivityResult, Cancelled, WorkflowError, WorkflowResult};
pub use executor::{OnlyInsideAWorkflow, Random, WorkflowInfo};
pub use history::{History, HistoryError};
pub use macros::{
    ActivityFailure, activities, activity, allow_nondeterminism, init, query, run, signal, update, workflow,
};
pub use registry::Activities;
pub use uuid::Uuid;
#[cfg(feature = "worker")]
pub use worker::{
    BuildError, CallingWorkflow, RunUntilOutput, ShutdownHandle, Worker, WorkerBuilder, WorkerError, WorkerInterceptor,
};
pub use workflow::{
    CancelledFuture, Elapsed, JoinAll, JoinHandle, Scope, Sleep, State, Timeout, WaitCondition, WaitState, Workflow,
    WorkflowCall, YieldNow, all_handlers_finished, cancelled, info, is_cancelled, is_replaying, join_all, now, random,
    random_range, scope, shield, sleep, sleep_until, spawn, this, timeout, uuid, wait_condition, yield_now,
};

/// What programs need most: `use everloop::prelude::*;`.
pub mod prelude {
    pub use std::time::Duration;

    pub use serde::{Deserialize, Serialize};

    #[cfg(feature = "worker")]
    pub use crate::Worker;
    pub use crate::macros::{activities, activity, allow_nondeterminism, init, query, run, signal, update, workflow};
    pub use crate::{
        ActivityCall, ActivityContext, ActivityError, ActivityFailure, ActivityResult, CallError, Client, State,
        WorkflowCall, WorkflowError, WorkflowHandle, WorkflowResult, all_handlers_finished, cancelled, info,
        is_cancelled, join, join_all, now, random, random_range, scope, select, shield, sleep, sleep_until, spawn,
        this, timeout, uuid, wait_condition, yield_now,
    };
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
