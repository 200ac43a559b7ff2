//! The two kinds of futures that user code becomes.

use std::future::Future;
use std::pin::Pin;

/// A workflow's future: it lives and dies on the run's own thread.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// An activity's future: it moves between threads.
pub type SendFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
