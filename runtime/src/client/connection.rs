//! Calls with deadlines and retries.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use everloop_proto::google::rpc;
use prost::Message;
use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, TimeoutExpired};

use super::error::{RpcCode, RpcError};
use super::retry::{Retries, random_fraction};
use super::rpc::{Rpc, Server};
use crate::notice::say_unless_heard;

/// The default time limit of a call with all its attempts.
pub(super) const CALL: Duration = Duration::from_secs(10);
/// The time limit of a long poll. Servers send an empty response shortly before.
pub(crate) const LONG_POLL: Duration = Duration::from_secs(70);
/// The time after its deadline at which the client abandons a call, so that the server's own response arrives first.
const GRACE: Duration = Duration::from_secs(1);
/// A long poll that took at least this time has reached a server, so the pauses between attempts start again.
const HELD: Duration = Duration::from_secs(5);

/// The connection to the workflow service of a server or of an engine in this process.
#[derive(Clone)]
pub(crate) struct Connection {
    server: Server,
    /// The metadata of every call.
    metadata: MetadataMap,
    /// The time limit of a call with all its attempts.
    limit: Duration,
    /// Whether the log has a line about the unreachable server.
    is_away: Arc<AtomicBool>,
    /// Whether the clock of an engine in this process may jump while its calls wait.
    lets_time_jump: bool,
}

impl Connection {
    pub(super) fn new(server: Server, metadata: MetadataMap, limit: Duration) -> Self {
        Self { server, metadata, limit, is_away: Arc::default(), lets_time_jump: false }
    }

    /// The time limit of a call with all its attempts.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// The same connection for calls that must not end early, such as those of a worker, whose results would be lost.
    #[cfg(feature = "worker")]
    pub(crate) fn patient(&self) -> Self {
        Self { limit: self.limit.max(CALL), ..self.clone() }
    }

    // The following methods box their futures: a call of the generated client has many kilobytes, which would be part of
    // every future that awaits it.

    /// A call that is retried while the server is unreachable or overloaded.
    pub(crate) async fn call<R: Rpc>(&self, request: R) -> Result<R::Reply, RpcError> {
        Box::pin(self.retried(self.limit, &request)).await
    }

    /// As [`call`](Self::call), for a request that the caller keeps.
    #[cfg(feature = "worker")]
    pub(crate) async fn call_with<R: Rpc>(&self, request: &R) -> Result<R::Reply, RpcError> {
        Box::pin(self.retried(self.limit, request)).await
    }

    /// A call that is retried, with a time limit for all attempts.
    pub(super) async fn call_within<R: Rpc>(&self, limit: Duration, request: R) -> Result<R::Reply, RpcError> {
        Box::pin(self.retried(limit, &request)).await
    }

    async fn retried<R: Rpc>(&self, limit: Duration, request: &R) -> Result<R::Reply, RpcError> {
        let started = Instant::now();
        let mut retries = Retries::within(limit);
        let mut earlier = None;
        loop {
            let error = match self.once(request.clone(), limit.saturating_sub(started.elapsed())).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            let Some(pause) = retries.pause_after(&error, started.elapsed(), random_fraction()) else {
                // The last attempt may have had no time left, so the error of the one before is more useful.
                let is_late = error.code == RpcCode::DeadlineExceeded;
                return Err(earlier.filter(|_| is_late).unwrap_or(error));
            };
            tracing::debug!(rpc = R::NAME, ?pause, %error, "trying again");
            earlier = Some(error);
            sleep(pause).await;
        }
    }

    /// A call whose response the server delays until there is news. It is retried without a limit while the server is
    /// unreachable.
    pub(super) async fn long_poll<R: Rpc>(&self, request: R) -> Result<R::Reply, RpcError> {
        Box::pin(self.held(request, None)).await
    }

    /// A call that changes something on the server, which may delay the response. It is retried until the server has been
    /// unreachable for the time limit of a call.
    pub(super) async fn bring<R: Rpc>(&self, request: R) -> Result<R::Reply, RpcError> {
        Box::pin(self.held(request, Some(self.limit))).await
    }

    async fn held<R: Rpc>(&self, request: R, limit: Option<Duration>) -> Result<R::Reply, RpcError> {
        let retries = || limit.map_or_else(Retries::endless, Retries::within);
        let mut failing: Option<(Instant, Retries)> = None;
        loop {
            let sent = Instant::now();
            let error = match self.once(request.clone(), LONG_POLL).await {
                Ok(reply) => {
                    if self.is_away.swap(false, Ordering::Relaxed) {
                        tracing::info!("the server is back");
                    }
                    return Ok(reply);
                }
                Err(error) => error,
            };
            // A call that ends with a timeout of this side may have reached the server.
            let is_held = sent.elapsed() >= HELD;
            if is_held && matches!(error.code, RpcCode::DeadlineExceeded | RpcCode::Cancelled) {
                failing = None;
                continue;
            }
            let (since, retries) = failing.get_or_insert_with(|| (Instant::now(), retries()));
            let Some(pause) = retries.pause_after(&error, since.elapsed(), random_fraction()) else {
                return Err(error);
            };
            if limit.is_none() && !self.is_away.swap(true, Ordering::Relaxed) {
                tracing::warn!(%error, "the server is away; waiting goes on");
                say_unless_heard(|| format!("the server is away; waiting goes on: {error}"));
            }
            sleep(pause).await;
        }
    }

    /// The same connection for calls during which the skipping clock of an engine in this process may jump. The clock stops
    /// as soon as the engine has the call's result, before the caller receives it.
    pub(super) fn letting_time_jump(&self) -> Self {
        Self { lets_time_jump: true, ..self.clone() }
    }

    /// A call without retries.
    pub(crate) async fn once<R: Rpc>(&self, request: R, limit: Duration) -> Result<R::Reply, RpcError> {
        self.attempt(request, limit).await.map_err(|status| RpcError::from_status(R::NAME, &status))
    }

    /// A call without retries, whose error keeps its cause.
    pub(super) async fn attempt<R: Rpc>(&self, request: R, limit: Duration) -> Result<R::Reply, Status> {
        let mut request = Request::new(request);
        *request.metadata_mut() = self.metadata.clone();
        request.set_timeout(limit);
        #[cfg(feature = "embedded")]
        if self.lets_time_jump {
            request.extensions_mut().insert(crate::embedded::LetsTimeJump);
        }
        match timeout(limit + GRACE, R::send(self.server.clone(), request)).await {
            Ok(reply) => reply.map(Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }
}

/// The error detail of an engine whose store failed. Such an engine must be opened again.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
}

impl RpcError {
    pub(super) fn from_status(operation: &'static str, status: &Status) -> Self {
        let detail = rpc::Status::decode(status.details()).ok().and_then(|status| status.details.into_iter().next());
        // Only the transport's own errors have a source. The transport reports both its timeout and a closed connection as a
        // cancellation.
        let is_late = |source: &(dyn Error + 'static)| causes(source).any(|cause| cause.is::<TimeoutExpired>());
        let (code, message) = match (status.code(), status.source()) {
            (_, Some(source)) if is_late(source) => (RpcCode::DeadlineExceeded, "no answer in time".to_owned()),
            (Code::Cancelled, Some(_)) => (RpcCode::Unavailable, message(status)),
            (code, _) => (RpcCode::from_wire(code), message(status)),
        };
        let mut error = Self { operation, code, message, detail };
        if error.is_too_large() {
            error.message += "; keep large data elsewhere, and pass a reference to it";
        }
        error
    }

    /// Whether the same call may succeed later.
    pub(crate) fn is_retryable(&self) -> bool {
        let store_failed = || {
            let detail = self.detail.as_ref().filter(|detail| detail.type_url.ends_with("google.rpc.ErrorInfo"));
            let info = detail.and_then(|detail| ErrorInfo::decode(detail.value.as_slice()).ok());
            info.is_some_and(|info| info.reason == "STORE_FAILED")
        };
        use RpcCode::*;
        matches!(self.code, DataLoss | Internal | Unknown | ResourceExhausted | Aborted | OutOfRange | Unavailable)
            && !store_failed()
            && !self.is_too_large()
    }

    /// Whether a message exceeded the size limit of one side; the same message always fails.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self.code, RpcCode::ResourceExhausted | RpcCode::OutOfRange)
            // The texts of gRPC's libraries for Go and Rust.
            && ["larger than max", "message length too large"].iter().any(|words| self.message.contains(words))
    }

    /// The first detail, if it is of this type.
    pub(crate) fn detail<M: prost::Name + Default>(&self) -> Option<M> {
        let detail = self.detail.as_ref()?;
        (detail.type_url.rsplit('/').next() == Some(M::full_name().as_str()))
            .then(|| M::decode(detail.value.as_slice()).ok())?
    }
}

/// The server's error, or the reason why the server was not reached, with all causes.
fn message(status: &Status) -> String {
    let Some(source) = status.source() else { return status.message().to_owned() };
    let mut message = String::new();
    // "transport error" adds nothing to its cause.
    let telling = causes(source).filter(|cause| !cause.is::<tonic::transport::Error>() || cause.source().is_none());
    for cause in telling.map(ToString::to_string) {
        match message.as_str() {
            "" => message = cause,
            // Some errors repeat their cause.
            said if said.contains(&cause) => {}
            _ => message.extend([": ", &cause]),
        }
    }
    message
}

/// An error and its causes, including the error inside of an I/O error, which `source` skips.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// Whether the other side accepted the connection, and then closed it or used another protocol than HTTP/2.
pub(super) fn was_cut(error: &(dyn Error + 'static)) -> bool {
    !causes(error).any(|cause| cause.is::<tonic::ConnectError>() || cause.is::<TimeoutExpired>())
}

impl RpcCode {
    fn from_wire(code: Code) -> Self {
        match code {
            Code::Ok | Code::Unknown => Self::Unknown,
            Code::Cancelled => Self::Cancelled,
            Code::InvalidArgument => Self::InvalidArgument,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::ResourceExhausted => Self::ResourceExhausted,
            Code::FailedPrecondition => Self::FailedPrecondition,
            Code::Aborted => Self::Aborted,
            Code::OutOfRange => Self::OutOfRange,
            Code::Unimplemented => Self::Unimplemented,
            Code::Internal => Self::Internal,
            Code::Unavailable => Self::Unavailable,
            Code::DataLoss => Self::DataLoss,
            Code::Unauthenticated => Self::Unauthenticated,
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn error(code: Code, reason: &str) -> RpcError {
        let detail = prost_types::Any {
            type_url: "type.googleapis.com/google.rpc.ErrorInfo".into(),
            value: ErrorInfo { reason: reason.into() }.encode_to_vec(),
        };
        let details = rpc::Status { code: code as i32, message: String::new(), details: vec![detail] };
        RpcError::from_status("x", &Status::with_details(code, "m", details.encode_to_vec().into()))
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!(error(Code::Unavailable, "").is_retryable());
        assert!(error(Code::ResourceExhausted, "").is_retryable());
        assert!(!error(Code::NotFound, "").is_retryable());
        assert!(!error(Code::Unavailable, "STORE_FAILED").is_retryable());
    }

    #[test]
    fn oversized_requests_are_not_retried() {
        for status in [
            Status::resource_exhausted("grpc: received message larger than max (5242951 vs. 4194304)"),
            Status::out_of_range("Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes"),
        ] {
            let error = RpcError::from_status("x", &status);
            assert!(error.is_too_large() && !error.is_retryable());
            assert!(error.message.ends_with("pass a reference to it"), "{}", error.message);
        }
        assert!(!error(Code::ResourceExhausted, "").is_too_large());
    }
}
