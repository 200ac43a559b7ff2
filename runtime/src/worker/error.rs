//! The errors of building a worker, and of running it.

use crate::client::{RpcCode, RpcError};
use crate::data::OptionError;

/// The reason why a worker was not built.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Nothing is registered. Add `.workflow::<W>()`, `.activity(f)` or `.activities(value)`.
    #[error("the worker of queue `{task_queue}` has nothing registered: add `.workflow::<W>()` or `.activity(f)`")]
    Nothing {
        /// The worker's task queue.
        task_queue: String,
    },
    /// Two workflows or two activities have one name, or one is registered twice. Name one of them: `#[activity(name = "..")]`, or
    /// `#[workflow(name = "..")]` on the `impl` block.
    #[error("{kind} `{name}` is registered twice: if these are two, name one of them, `#[{kind}(name = \"..\")]`")]
    Duplicate {
        /// `workflow` or `activity`.
        kind: &'static str,
        /// The name.
        name: &'static str,
    },
    /// The task queue's name is empty.
    #[error("the task queue has no name")]
    NoTaskQueue,
    /// An option that must be at least 1 is 0.
    #[error("`{option}` must be at least 1")]
    Zero {
        /// The option.
        option: &'static str,
    },
    /// An activity option has an impossible value, such as a time limit of zero.
    #[error("options of {place}: {cause}")]
    ActivityOptions {
        /// The activities that the options are for.
        place: String,
        /// The option, and what to write instead.
        cause: OptionError,
    },
    /// The operating system did not create a thread.
    #[error("the workflow threads cannot be started: {0}")]
    Threads(std::io::Error),
}

debug_as_display!(BuildError);

/// The reason why a worker stopped on its own.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// A permanent failure: the server rejects this worker, for example because its namespace does not exist; the server is
    /// unreachable when the worker starts; or an engine in this process has failed.
    #[error("the server {}", refused(.0))]
    Refused(RpcError),
    /// Too many workflows block a thread each. A single workflow does not cause this error, however often its task is retried.
    /// The warnings before it name the workflows.
    #[error(
        "{0} workflows block a thread each; the warnings before say which: move what blocks into activities, and restart the process"
    )]
    TooManyDeadlocks(usize),
    /// A [`ShutdownHandle`](super::ShutdownHandle) stopped the worker before the future of
    /// [`Worker::run_until`](super::Worker::run_until) was done.
    #[error("the worker was shut down before the future that it ran until was done")]
    ShutDown,
}

debug_as_display!(WorkerError);

/// The error of the server, with advice.
fn refused(error: &RpcError) -> String {
    use RpcCode::{InvalidArgument, NotFound, PermissionDenied, Unauthenticated};
    match error.code {
        InvalidArgument | NotFound | PermissionDenied | Unauthenticated => {
            format!("refuses this worker: {error}; check namespace and credentials of its client")
        }
        _ if error.is_retryable() => {
            format!("does not answer this worker: {error}; start it again when the server is back")
        }
        // The error of an engine whose disk has failed has its own advice.
        _ => format!("refuses this worker: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_has_the_advice_that_fits_its_code() {
        let shown = |code| {
            let error = RpcError { operation: "poll", code, message: "why".to_owned(), detail: None };
            WorkerError::Refused(error).to_string()
        };
        expect_test::expect![[r#"
            the server refuses this worker: poll: not found: why; check namespace and credentials of its client
            the server does not answer this worker: poll: unavailable: why; start it again when the server is back
            the server refuses this worker: poll: not implemented by the server: why"#]]
        .assert_eq(&[RpcCode::NotFound, RpcCode::Unavailable, RpcCode::Unimplemented].map(shown).join("\n"));
    }
}
