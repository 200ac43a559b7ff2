//! Runs workflows and activities: polls their tasks from the engine, runs them, and reports the results.
//!
//! A [`Worker`] is built from a client, the name of a task queue, and the workflows and activities to run.

// The shell around the executor. Tokio tasks poll, decode and send responses; workflow threads own the runs. A workflow task
// moves to its thread once and back once, however much history it needs:
//
//  poll (tokio) -> payload codec -> workflow thread: executor -> payload codec -> answer (tokio)
//
// Invariant: nothing that a task does may end the worker.

mod activity_tasks;
mod answer;
mod builder;
mod closed_runs;
mod error;
mod intercepted;
mod interceptor;
mod jobs;
mod link;
mod local_activities;
mod logging;
mod observer;
mod options;
mod outgoing;
mod places;
mod polling;
mod run_until;
mod send_error;
mod shell;
mod threads;
mod unsent;
#[allow(clippy::module_inception, reason = "the type that the folder is about")]
mod worker;
mod workflow_tasks;

pub use builder::WorkerBuilder;
pub use error::{BuildError, WorkerError};
pub use interceptor::{
    ActivityAttempt, InboundCall, InboundKind, NextActivity, NextHandler, NextQuery, WorkerInterceptor,
};
pub use outgoing::{OutgoingCommand, OutgoingKind};
pub use run_until::RunUntilOutput;
pub use worker::{ShutdownHandle, Worker};

pub use crate::registry::Activities;

pub(crate) use intercepted::intercepted;
pub(crate) use interceptor::SharedInterceptor;
pub(crate) use observer::Observer;
