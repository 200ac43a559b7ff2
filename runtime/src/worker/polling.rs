//! Polls that are repeated until the worker stops. The log has one line when the server becomes unreachable, and one when it
//! is reachable again.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use crate::client::{Backoff, RpcCode, RpcError};

/// The state of the server that the pollers of a worker observe.
#[derive(Default)]
pub(super) struct ServerState {
    is_away: AtomicBool,
}

impl ServerState {
    fn seen(&self) {
        if self.is_away.swap(false, Ordering::Relaxed) {
            tracing::info!("the server is back");
        }
    }

    fn missed(&self, error: &RpcError) {
        if !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the server is away; polling goes on");
        }
    }
}

/// Ends the polls of a worker in two steps, so that the task of an open poll is not lost.
#[derive(Clone, Debug, Default)]
pub(super) struct StopPolling {
    /// Cancelled when no new poll may begin.
    pub(super) begin: CancellationToken,
    /// Cancelled when open polls are dropped.
    pub(super) open: CancellationToken,
}

/// Polls until there is a response. Returns `None` if the worker stops and no open poll has a task.
///
/// # Errors
/// Permanent failures: the namespace is missing, or the credentials do not allow polls.
pub(super) async fn poll<T, F: Future<Output = Result<T, RpcError>>>(
    server: &ServerState,
    stop: &StopPolling,
    mut attempt: impl FnMut() -> F,
) -> Result<Option<T>, RpcError> {
    let mut backoff = Backoff::default();
    loop {
        if stop.begin.is_cancelled() {
            return Ok(None);
        }
        let result = tokio::select! {
            biased;
            // A task that has arrived is kept although the worker stops.
            result = attempt() => result,
            () = stop.open.cancelled() => return Ok(None),
        };
        match result {
            Ok(task) => {
                server.seen();
                return Ok(Some(task));
            }
            // A timeout that is not the server's ended the poll without a task.
            Err(error) if matches!(error.code, RpcCode::DeadlineExceeded | RpcCode::Cancelled) => {}
            // A task may be too large to receive; the next one may be smaller.
            Err(error) if error.is_retryable() || error.is_too_large() => {
                server.missed(&error);
                tokio::select! {
                    () = stop.begin.cancelled() => return Ok(None),
                    () = backoff.wait() => {}
                }
            }
            Err(error) => return Err(error),
        }
    }
}
