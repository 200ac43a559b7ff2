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
mod cache;
mod interceptor;
mod link;
mod logging;
mod polling;
mod shell;
mod threads;
mod until;
#[allow(clippy::module_inception, reason = "the type that the folder is about")]
mod worker;
mod workflows;

pub use interceptor::{CallingWorkflow, WorkerInterceptor};
pub(crate) use logging::say_unless_heard;
pub use until::RunUntilOutput;
pub use worker::{BuildError, ShutdownHandle, Worker, WorkerBuilder, WorkerError};

pub(crate) use shell::Observer;
