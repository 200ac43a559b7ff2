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

mod activity_tasks;
mod answer;
mod builder;
mod closed_runs;
mod error;
mod interceptor;
mod jobs;
mod link;
mod logging;
mod observer;
mod options;
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
pub use interceptor::{CallingWorkflow, WorkerInterceptor};
pub use run_until::RunUntilOutput;
pub use worker::{ShutdownHandle, Worker};

pub(crate) use observer::Observer;
