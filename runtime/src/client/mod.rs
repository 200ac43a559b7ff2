//! Starts workflows, sends them messages, and waits for their results.
//!
//! A [`Client`] starts workflows and returns a [`WorkflowHandle`] for each, which signals, queries, updates, cancels and
//! describes it. Each kind of call has its own error type, with the failures that can happen to that call.

// The files here build the requests. `connection` and `transport` send them: deadlines, retries, in process or over the
// network.

mod activity;
mod activity_control;
mod address;
#[allow(clippy::module_inception, reason = "the type that the folder is about")]
mod client;
mod connection;
mod description;
mod eager;
mod environment;
mod error;
mod failures;
mod handle;
mod history;
mod intercepted;
mod interceptor;
mod list;
mod message;
mod options;
mod outcome;
#[cfg(feature = "profile")]
mod profile;
#[cfg(not(feature = "profile"))]
#[path = "no_profile.rs"]
mod profile;
mod retry;
mod rpc;
#[cfg(feature = "embedded")]
mod serve;
mod start;
mod status;
mod summary;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
mod transport;
mod unpolled;
mod unpolled_queues;
mod update;
mod variables;

pub use activity::{ActivityRef, AsyncActivityHandle};
pub use client::Client;
pub use description::{PendingActivity, WorkflowDescription};
pub use error::{
    ConnectError, ExecuteError, HandleError, InterceptorError, ListError, QueryError, ResultError, RpcCode, RpcError,
    SignalError, StartError, UpdateError,
};
pub use handle::{Queries, Target, Untyped, Updates, WithStart, WorkflowHandle};
pub use interceptor::{CallReply, ClientCall, ClientCallError, ClientInterceptor, ClientOperation, NextCall};
pub use list::WorkflowList;
pub(crate) use message::MessageInput;
pub use message::{QueryCall, SignalCall};
pub use options::ClientBuilder;
#[cfg(feature = "embedded")]
pub use serve::{ServeCall, ServeError, Serving};
pub use start::{ForHandle, ForResult, StartCall, WorkflowIdConflictPolicy, WorkflowIdReusePolicy};
pub use status::WorkflowStatus;
pub use summary::WorkflowSummary;
#[cfg(feature = "tls")]
pub use tls::TlsOptions;
pub use update::{UpdateCall, UpdateHandle, UpdateStage};

#[cfg(feature = "embedded")]
pub use crate::embedded::{EngineClock, Jumping};
pub use crate::history::{History, HistoryError};

pub(crate) use connection::{Connection, LONG_POLL};
pub(crate) use eager::{TakeTask, TakesTasks};
pub(crate) use failures::{CheckResult, FailureBoard};
pub(crate) use retry::Backoff;
#[cfg(feature = "worker")]
pub(crate) use rpc::Rpc;
