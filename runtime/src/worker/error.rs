//! Why a worker is not built, or stops.

use crate::client::RpcError;
use crate::data::OptionError;

/// Why a worker was not built.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is nothing to run. Add `.workflow::<W>()`, `.activity(f)` or `.activities(value)`.
    #[error("the worker of queue `{task_queue}` has nothing registered: add `.workflow::<W>()` or `.activity(f)`")]
    Nothing {
        /// The worker's queue.
        task_queue: String,
    },
    /// Two workflows or two activities have one name. Name one of them: `#[activity(name = "..")]`.
    #[error("`{name}` is registered twice: give one of them another name, as in `#[activity(name = \"..\")]`")]
    Duplicate {
        /// The name.
        name: &'static str,
    },
    /// The task queue's name is empty.
    #[error("the task queue has no name")]
    NoTaskQueue,
    /// A number that must be at least 1 is 0.
    #[error("`{option}` must be at least 1")]
    Zero {
        /// The option.
        option: &'static str,
    },
    /// Options of activities have a value that cannot mean what it says, as a time limit of zero.
    #[error("options of {place}: {cause}")]
    ActivityOptions {
        /// Of which activities.
        place: String,
        /// Which option, and what to write.
        cause: OptionError,
    },
    /// The system gives no more threads.
    #[error("the workflow threads cannot be started: {0}")]
    Threads(std::io::Error),
}

debug_as_display!(BuildError);

/// Why a worker stopped by itself.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The server will never give this worker tasks: its namespace does not exist, say.
    #[error("the server refuses this worker: {0}; check namespace and credentials of its client")]
    Refused(RpcError),
    /// So many workflows block a thread each, and nothing is left to run others. One workflow alone, however often it is
    /// tried, does not come to this. The warnings before say which they are.
    #[error(
        "{0} workflows block a thread each; the warnings before say which: move what blocks into activities, and restart the process"
    )]
    TooManyDeadlocks(usize),
    /// A [`ShutdownHandle`] stopped the worker before the future of [`Worker::run_until`] was done.
    #[error("the worker was shut down before the future that it ran until was done")]
    ShutDown,
}

debug_as_display!(WorkerError);
