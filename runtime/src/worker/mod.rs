//! Runs workflows and activities: the shell around the executor.
//!
//! Tokio tasks poll, decode and answer; workflow threads own the runs. A workflow task goes once to its thread and once
//! back, however much history it needs:
//!
//! ```text
//!  poll (tokio) -> payload codec -> workflow thread: executor -> payload codec -> answer (tokio)
//! ```
//!
//! *Invariant: nothing that a task does may end the worker.*

mod activities;
mod closed;
mod interceptor;
mod jobs;
mod link;
mod logging;
mod places;
mod polling;
mod shell;
mod threads;
mod unsent;
mod until;
#[allow(clippy::module_inception, reason = "the type that the folder is about")]
mod worker;
mod workflows;

pub use interceptor::{CallingWorkflow, WorkerInterceptor};
pub use until::RunUntilOutput;
pub use worker::{BuildError, ShutdownHandle, Worker, WorkerBuilder, WorkerError};

pub(crate) use shell::Observer;
