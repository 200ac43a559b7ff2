//! Calls with deadlines and retries.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;

use everloop_proto::google::rpc;
use prost::Message;
use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status};

use super::error::{RpcCode, RpcError};
use super::rpc::{Rpc, Server};

/// How long a call may take.
const CALL: Duration = Duration::from_secs(10);
/// How long a long poll may take. Servers answer empty a little before.
pub(crate) const LONG_POLL: Duration = Duration::from_secs(70);
/// How much later than its deadline a call is given up on this side, so that the server's own answer comes first.
const GRACE: Duration = Duration::from_secs(1);

const FIRST_RETRY: Duration = Duration::from_millis(100);
const RETRY_FACTOR: f64 = 1.7;
const LONGEST_RETRY: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 10;
/// A call is not tried again when it has taken this long.
const ALL_ATTEMPTS: Duration = Duration::from_secs(10);

/// The workflow service, wherever it is.
#[derive(Clone)]
pub(crate) struct Connection {
    server: Server,
    /// What every call carries.
    metadata: MetadataMap,
    /// Whether the clock of an engine in this process may jump while its calls wait.
    lets_time_jump: bool,
}

impl Connection {
    pub(super) fn new(server: Server, metadata: MetadataMap) -> Self {
        Self { server, metadata, lets_time_jump: false }
    }

    /// A call that is tried again while the server is away or overloaded, for up to ten seconds.
    pub(crate) async fn call<R: Rpc>(&self, request: R) -> Result<R::Reply, RpcError> {
        let started = Instant::now();
        let mut delay = FIRST_RETRY;
        let mut attempt = 1;
        loop {
            let error = match self.once(request.clone(), CALL).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if !error.is_retryable() || attempt == ATTEMPTS || started.elapsed() + delay > ALL_ATTEMPTS {
                return Err(error);
            }
            tracing::debug!(rpc = R::NAME, attempt, %error, "trying again");
            sleep(delay).await;
            delay = next_delay(delay);
            attempt += 1;
        }
    }

    /// A call whose answer the server holds back until there is something to say. Tried again like any other.
    pub(crate) async fn long_poll<R: Rpc>(&self, request: R) -> Result<R::Reply, RpcError> {
        let mut backoff = Backoff::default();
        let mut attempt = 1;
        loop {
            match self.once(request.clone(), LONG_POLL).await {
                Err(error) if error.is_retryable() && attempt < ATTEMPTS => backoff.wait().await,
                // It waited long enough, only not by the server's own clock.
                Err(error) if error.code == RpcCode::DeadlineExceeded && attempt < ATTEMPTS => {}
                result => return result,
            }
            attempt += 1;
        }
    }

    /// As [`long_poll`](Self::long_poll), while the skipping clock of an engine in this process may jump. It stops as soon
    /// as what the call waits for is there, before the caller hears of it.
    pub(crate) async fn long_poll_letting_time_jump<R: Rpc>(&self, request: R) -> Result<R::Reply, RpcError> {
        Self { lets_time_jump: true, ..self.clone() }.long_poll(request).await
    }

    /// A call that is tried once.
    pub(crate) async fn once<R: Rpc>(&self, request: R, limit: Duration) -> Result<R::Reply, RpcError> {
        self.attempt(request, limit).await.map_err(|status| RpcError::from_status(R::NAME, &status))
    }

    /// A call that is tried once; what prevents it keeps all that is known of its cause.
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

/// Growing pauses between attempts that have no end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST_RETRY)
    }
}

impl Backoff {
    pub(crate) async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = next_delay(self.0);
    }
}

fn next_delay(delay: Duration) -> Duration {
    delay.mul_f64(RETRY_FACTOR).min(LONGEST_RETRY)
}

/// What an engine says whose store failed. It will not work again before it is opened anew.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
}

impl RpcError {
    pub(super) fn from_status(operation: &'static str, status: &Status) -> Self {
        let detail = rpc::Status::decode(status.details()).ok().and_then(|status| status.details.into_iter().next());
        Self { operation, code: RpcCode::from_wire(status.code()), message: message(status), detail }
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
    }

    /// The first detail, if it is of this type.
    pub(crate) fn detail<M: prost::Name + Default>(&self) -> Option<M> {
        let detail = self.detail.as_ref()?;
        (detail.type_url.rsplit('/').next() == Some(M::full_name().as_str()))
            .then(|| M::decode(detail.value.as_slice()).ok())?
    }
}

/// What the server said, or why it was not reached, down to the last cause.
fn message(status: &Status) -> String {
    let Some(source) = status.source() else { return status.message().to_owned() };
    let mut message = String::new();
    // "transport error" says nothing that what is below it does not.
    let telling = causes(source).filter(|cause| !cause.is::<tonic::transport::Error>() || cause.source().is_none());
    for cause in telling.map(ToString::to_string) {
        match message.as_str() {
            "" => message = cause,
            // Some errors repeat what is below them.
            said if said.contains(&cause) => {}
            _ => message.extend([": ", &cause]),
        }
    }
    message
}

/// An error and what is below it. What an I/O error wraps counts too, which its `source` passes over.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// Whether someone took the connection, and then closed it or spoke something else than HTTP/2.
pub(super) fn was_cut(error: &(dyn Error + 'static)) -> bool {
    !causes(error).any(|cause| cause.is::<tonic::ConnectError>() || cause.is::<tonic::TimeoutExpired>())
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
    fn pauses_grow_up_to_five_seconds() {
        let mut delay = FIRST_RETRY;
        for _ in 0..20 {
            delay = next_delay(delay);
        }
        assert_eq!(next_delay(FIRST_RETRY), Duration::from_millis(170));
        assert_eq!(delay, LONGEST_RETRY);
    }
}
