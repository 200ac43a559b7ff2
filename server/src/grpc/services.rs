//! All services of one engine behind one entrance, as the socket needs them.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use everloop_proto::grpc::health::v1::health_server::{self, HealthServer};
use everloop_proto::temporal::api::operatorservice::v1::operator_service_server::{self, OperatorServiceServer};
use everloop_proto::temporal::api::testservice::v1::test_service_server::{self, TestService, TestServiceServer};
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server::{
    self, WorkflowService, WorkflowServiceServer,
};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Code, Status};
use tower::Service;

use super::{HealthService, Operator};

/// The largest message that comes in, in bytes, unpacked.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Dispatches on the service in the path.
#[derive(Debug)]
pub(crate) struct Services<W, T> {
    workflow: WorkflowServiceServer<W>,
    operator: OperatorServiceServer<Operator>,
    /// Only where time can be skipped.
    test: Option<TestServiceServer<T>>,
    health: HealthServer<HealthService>,
    stopping: watch::Receiver<bool>,
}

/// The settings that every service shares; their types have nothing in common.
macro_rules! configured {
    ($server:expr) => {
        $server.accept_compressed(Gzip).send_compressed(Gzip).max_decoding_message_size(MESSAGE_BYTES_MAX)
    };
}

impl<W: WorkflowService, T: TestService> Services<W, T> {
    pub(crate) fn new(
        workflow: WorkflowServiceServer<W>,
        operator: OperatorServiceServer<Operator>,
        test: Option<TestServiceServer<T>>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            workflow: configured!(workflow),
            operator: configured!(operator),
            test: test.map(|test| configured!(test)),
            health: configured!(HealthServer::new(HealthService::new(stopping.clone()))),
            stopping,
        }
    }
}

// Written out because derived, it would ask for services that can be cloned.
impl<W, T> Clone for Services<W, T> {
    fn clone(&self) -> Self {
        Self {
            workflow: self.workflow.clone(),
            operator: self.operator.clone(),
            test: self.test.clone(),
            health: self.health.clone(),
            stopping: self.stopping.clone(),
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<W: WorkflowService, T: TestService> Service<Request<Body>> for Services<W, T> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Answer {
        // Who sends plain requests gets plain answers: packing costs more than the bytes it saves on a local network.
        if request.headers().get("grpc-encoding").is_none_or(|encoding| encoding != "gzip") {
            request.headers_mut().remove("grpc-accept-encoding");
        }
        let at_stop = AtStop::of(request.uri().path());
        let answer = match (service_of(request.uri().path()), &mut self.test) {
            (workflow_service_server::SERVICE_NAME, _) => self.workflow.call(request),
            (operator_service_server::SERVICE_NAME, _) => self.operator.call(request),
            (health_server::SERVICE_NAME, _) => self.health.call(request),
            (test_service_server::SERVICE_NAME, Some(test)) => test.call(request),
            (service, _) => {
                let refusal = Status::unimplemented(format!("unknown service {service}")).into_http();
                return Box::pin(async { Ok(refusal) });
            }
        };
        let mut stopping = self.stopping.clone();
        Box::pin(async move {
            match at_stop.early_answer() {
                None => answer.await.map(as_too_large),
                Some(early_answer) => tokio::select! {
                    answer = answer => answer.map(as_too_large),
                    // An error means that the socket is gone.
                    _ = stopping.wait_for(|stopping| *stopping) => Ok(early_answer()),
                },
            }
        })
    }
}

/// What becomes of a call under way when the socket stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtStop {
    /// It ends by itself, soon.
    Finish,
    /// A worker waits for a task: it is told that there is none.
    NoTask,
    /// Somebody waits for news, and will ask again.
    Retry,
}

impl AtStop {
    fn of(path: &str) -> Self {
        match path.rsplit('/').next() {
            Some("PollWorkflowTaskQueue" | "PollActivityTaskQueue" | "PollNexusTaskQueue") => Self::NoTask,
            Some("GetWorkflowExecutionHistory" | "PollWorkflowExecutionUpdate") => Self::Retry,
            _ => Self::Finish,
        }
    }

    fn early_answer(self) -> Option<fn() -> Response<Body>> {
        match self {
            Self::Finish => None,
            Self::NoTask => Some(empty_message),
            Self::Retry => Some(|| Status::unavailable("the server is stopping").into_http()),
        }
    }
}

/// A successful answer of one message with nothing set.
fn empty_message() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    // Not compressed, and zero bytes long.
    let message = Full::new(Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(trailers)) });
    let mut answer = Response::new(Body::new(message));
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    answer
}

/// The service in `/service/Method`.
fn service_of(path: &str) -> &str {
    path.strip_prefix('/').and_then(|path| path.split_once('/')).map_or("", |(service, _)| service)
}

/// Clients give up on a message that is too large only when they are told in the words of the usual server.
fn as_too_large(answer: Response<Body>) -> Response<Body> {
    let is_candidate = answer.headers().get("grpc-status").is_some_and(|code| code == "8" || code == "11");
    let refusal = is_candidate.then(|| Status::from_header_map(answer.headers())).flatten();
    let message = match refusal.as_ref().map(|status| (status.code(), status.message())) {
        Some((Code::OutOfRange, message)) if message.contains("message length too large") => {
            format!("grpc: received message larger than max ({MESSAGE_BYTES_MAX} bytes)")
        }
        Some((Code::ResourceExhausted, message)) if message.contains("exceeded while decompressing") => {
            format!("grpc: received message after decompression larger than max ({MESSAGE_BYTES_MAX} bytes)")
        }
        _ => return answer,
    };
    Status::resource_exhausted(message).into_http()
}
