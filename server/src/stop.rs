//! The notice that a socket stops. It travels with every call that came in there, and ends the waits of that call.

use tokio::sync::watch;
use tonic::{Request, Status};

/// Whether, and when, the socket of a call stops. That of a call inside the process never does.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopNotice(Option<watch::Receiver<bool>>);

impl StopNotice {
    /// Given when the value becomes true, and when nobody is left to say so.
    #[cfg(feature = "listen")]
    pub(crate) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self(Some(stopping))
    }

    /// The notice that came with a request.
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    pub(crate) fn is_given(&self) -> bool {
        self.0.as_ref().is_some_and(|stopping| *stopping.borrow() || stopping.has_changed().is_err())
    }

    /// Resolves when it is given.
    pub(crate) async fn given(&self) {
        match self.0.clone() {
            // An error means that the socket is gone.
            Some(mut stopping) => drop(stopping.wait_for(|stopping| *stopping).await),
            None => std::future::pending().await,
        }
    }
}

/// The answer to a call that waited for something that has not happened. Clients try such a call again.
pub(crate) fn stopped() -> Status {
    Status::unavailable("the server is stopping")
}
