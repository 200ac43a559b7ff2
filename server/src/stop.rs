//! The stop notice of a socket. Every call carries the notice of its socket, and waiting calls end when it is given.

use tokio::sync::watch;
use tonic::{Request, Status};

/// Reports whether and when the socket of a call stops. In-process calls have no socket and never stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopNotice(Option<watch::Receiver<bool>>);

impl StopNotice {
    /// The notice is given when the value becomes true, or when the sender is dropped.
    #[cfg(feature = "listen")]
    pub(crate) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self(Some(stopping))
    }

    /// The notice attached to a request.
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    pub(crate) fn is_given(&self) -> bool {
        self.0.as_ref().is_some_and(|stopping| *stopping.borrow() || stopping.has_changed().is_err())
    }

    /// Resolves when the notice is given.
    pub(crate) async fn given(&self) {
        match self.0.clone() {
            // An error means that the socket is gone.
            Some(mut stopping) => drop(stopping.wait_for(|stopping| *stopping).await),
            None => std::future::pending().await,
        }
    }
}

/// The status of a call whose wait was ended by the stop. Clients retry such a call.
pub(crate) fn stopped() -> Status {
    Status::unavailable("the server is stopping")
}
