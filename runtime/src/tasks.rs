//! The future that activities and clients return.

use std::future::Future;
use std::pin::Pin;

/// A future that is `Send`.
pub type SendFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
