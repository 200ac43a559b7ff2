//! The outputs that the future of [`Worker::run_until`](super::Worker::run_until) may have.

use super::error::WorkerError;
use crate::client::{ExecuteError, QueryError, ResultError, UpdateError};

/// A supported output of the future of [`Worker::run_until`](super::Worker::run_until): `()`, or a `Result<T, E>` whose error
/// implements `From<WorkerError>`.
#[diagnostic::on_unimplemented(
    message = "`run_until` takes a future of `Result` or of `()`, not of `{Self}`",
    label = "this future gives `{Self}`",
    note = "end it with `Ok::<_, Box<dyn std::error::Error>>(value)`: `run_until` returns its errors and the worker's"
)]
pub trait RunUntilOutput<T, E> {
    #[doc(hidden)]
    fn into_result(self) -> Result<T, E>;
}

impl RunUntilOutput<(), WorkerError> for () {
    fn into_result(self) -> Result<(), WorkerError> {
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> RunUntilOutput<T, E> for Result<T, E> {
    fn into_result(self) -> Self {
        self
    }
}

impl From<WorkerError> for ExecuteError {
    fn from(error: WorkerError) -> Self {
        Self::Result(error.into())
    }
}

macro_rules! from_worker_error {
    ($($error:ident),*) => {$(
        impl From<WorkerError> for $error {
            fn from(error: WorkerError) -> Self {
                Self::WorkerStopped { reason: error.to_string() }
            }
        }
    )*};
}
from_worker_error!(ResultError, UpdateError, QueryError);
