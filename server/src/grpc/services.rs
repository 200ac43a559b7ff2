//! All services of one engine as one service, as the socket needs them.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use everloop_proto::grpc::health::v1::health_server::{self, HealthServer};
use everloop_proto::temporal::api::operatorservice::v1::operator_service_server::{self, OperatorServiceServer};
use everloop_proto::temporal::api::testservice::v1::test_service_server;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use super::health::HealthService;
use super::operator::Operator;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::service::calls::handover::Handover;
use crate::stop::StopNotice;

/// Dispatches calls by the service in the path.
#[derive(Clone, Debug)]
pub(crate) struct Services<W, T> {
    workflow: W,
    operator: OperatorServiceServer<Operator>,
    /// `None` on a real clock.
    test: Option<T>,
    health: HealthServer<HealthService>,
    /// Attached to every request, so that waiting calls end when the socket stops.
    stop: StopNotice,
}

/// Sets the limits of a generated server; the generated types share no trait.
macro_rules! configured {
    ($server:expr) => {
        $server
            .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
            .send_compressed(tonic::codec::CompressionEncoding::Gzip)
            .max_decoding_message_size($crate::limits::MESSAGE_BYTES_MAX)
    };
}
pub(crate) use configured;

impl<W, T> Services<W, T> {
    /// The caller has applied [`configured`] to the workflow and test services.
    pub(crate) fn new(
        workflow: W,
        operator: OperatorServiceServer<Operator>,
        test: Option<T>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let stop = StopNotice::new(stopping);
        let health = configured!(HealthServer::new(HealthService::new(stop.clone())));
        Self { workflow, operator: configured!(operator), test, health, stop }
    }
}

type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<W, T> Service<Request<Body>> for Services<W, T>
where
    W: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>,
    T: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> ResponseFuture {
        // Uncompressed requests get uncompressed responses: compression costs more than the saved bytes on a local
        // network.
        if request.headers().get("grpc-encoding").is_none_or(|encoding| encoding != "gzip") {
            request.headers_mut().remove("grpc-accept-encoding");
        }
        request.extensions_mut().insert(self.stop.clone());
        let handover = Handover::travelling();
        request.extensions_mut().insert(handover.clone());
        let answer: ResponseFuture = match (service_of(request.uri().path()), &mut self.test) {
            (workflow_service_server::SERVICE_NAME, _) => Box::pin(self.workflow.call(request)),
            (operator_service_server::SERVICE_NAME, _) => self.operator.call(request),
            (health_server::SERVICE_NAME, _) => self.health.call(request),
            (test_service_server::SERVICE_NAME, Some(test)) => Box::pin(test.call(request)),
            (service, _) => {
                let refusal = Status::unimplemented(format!("unknown service {service}")).into_http();
                return Box::pin(async { Ok(refusal) });
            }
        };
        Box::pin(async move { answer.await.map(|answer| delivered(with_temporal_message(answer), handover)) })
    }
}

/// Returns the service in `/service/Method`.
fn service_of(path: &str) -> &str {
    path.strip_prefix('/').and_then(|path| path.split_once('/')).map_or("", |(service, _)| service)
}

/// Completes the handover of the tasks in a response once the connection has taken its whole body. If the caller
/// disconnects earlier, the body is dropped, and the handover with it.
fn delivered(answer: Response<Body>, handover: Handover) -> Response<Body> {
    if handover.is_empty() {
        return answer;
    }
    answer.map(|body| {
        Body::new(body.map_frame(move |frame| {
            if frame.is_trailers() {
                handover.taken();
            }
            frame
        }))
    })
}

/// Replaces the messages of some errors by those of the Temporal server. Clients stop retrying a message that is too
/// large, or that cannot be decoded, only if they recognize the error.
fn with_temporal_message(answer: Response<Body>) -> Response<Body> {
    let may_change = |code: &HeaderValue| code == "8" || code == "11" || code == "13";
    let is_candidate = answer.headers().get("grpc-status").is_some_and(may_change);
    let refusal = is_candidate.then(|| Status::from_header_map(answer.headers())).flatten();
    let message = match refusal.as_ref().map(|status| (status.code(), status.message())) {
        Some((Code::OutOfRange, message)) if message.contains("message length too large") => {
            format!("grpc: received message larger than max ({MESSAGE_BYTES_MAX} bytes)")
        }
        Some((Code::ResourceExhausted, message)) if message.contains("exceeded while decompressing") => {
            format!("grpc: received message after decompression larger than max ({MESSAGE_BYTES_MAX} bytes)")
        }
        Some((Code::Internal, message)) if message.starts_with("failed to decode Protobuf message") => {
            // The first and the last part enclose the path of fields, a hundred of them for a failure that is too deep.
            let reason = message.rsplit(": ").next().unwrap_or(message);
            return Status::invalid_argument(format!("cannot decode the request: {reason}")).into_http();
        }
        _ => return answer,
    };
    Status::resource_exhausted(message).into_http()
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::Arc;

    use bytes::Bytes;
    use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server::WorkflowService as _;
    use http_body_util::Full;
    use prost::Message as _;
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::api::common::WorkflowType;
    use crate::api::taskqueue::TaskQueue;
    use crate::api::workflowservice::{PollWorkflowTaskQueueRequest, StartWorkflowExecutionRequest};
    use crate::namespaces::Namespaces;
    use crate::store::SqliteStore;
    use crate::{ClockMode, Engine};

    /// Calls a workflow service whose method runs `serve`, through a socket that may stop.
    async fn call<F>(
        method: &str,
        headers: &[(&'static str, &'static str)],
        stopping: &watch::Sender<bool>,
        serve: impl Fn(Request<Body>) -> F + Clone,
    ) -> Response<Body>
    where
        F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        let namespaces = Namespaces::open(Arc::new(SqliteStore::memory().unwrap()), &[]).unwrap();
        let operator = OperatorServiceServer::new(Operator::new(Arc::new(namespaces)));
        let workflow = service_fn(serve);
        let services = Services::new(workflow.clone(), operator, Some(workflow), stopping.subscribe());
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = format!("http://localhost/{method}").parse().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        services.oneshot(request).await.unwrap()
    }

    fn status(answer: &Response<Body>) -> Option<(Code, String)> {
        let status = Status::from_header_map(answer.headers())?;
        Some((status.code(), status.message().to_owned()))
    }

    const SIGNAL: &str = "temporal.api.workflowservice.v1.WorkflowService/SignalWorkflowExecution";

    #[tokio::test]
    async fn calls_of_unknown_services_are_refused() {
        let (stopping, _) = watch::channel(false);
        for method in ["shop.Shop/Buy", "", "Buy", "temporal.api.workflowservice.v1.WorkflowServiceX/Poll"] {
            let answer = call(method, &[], &stopping, async |_| unreachable!()).await;
            assert_eq!(status(&answer).unwrap().0, Code::Unimplemented, "{method}");
        }
        let known = call(SIGNAL, &[], &stopping, async |_| Ok(Response::new(Body::empty()))).await;
        assert_eq!(status(&known), None);
    }

    #[tokio::test]
    async fn only_compressed_requests_get_compressed_responses() {
        let (stopping, _) = watch::channel(false);
        let echo = async |request: Request<Body>| {
            let asked = request.headers().contains_key("grpc-accept-encoding");
            Ok(Response::builder().header("asked", asked.to_string()).body(Body::empty()).unwrap())
        };
        let accepts = ("grpc-accept-encoding", "gzip");
        let plain = call(SIGNAL, &[accepts], &stopping, echo).await;
        assert_eq!(plain.headers()["asked"], "false");
        let packed = call(SIGNAL, &[accepts, ("grpc-encoding", "gzip")], &stopping, echo).await;
        assert_eq!(packed.headers()["asked"], "true");
    }

    #[tokio::test]
    async fn every_request_carries_the_stop_notice_of_its_socket() {
        let (stopping, _) = watch::channel(false);
        let until_stopped = async |request: Request<Body>| {
            let stop = request.extensions().get::<StopNotice>().cloned().unwrap();
            assert!(!stop.is_given());
            stop.given().await;
            assert!(stop.is_given());
            Ok(Response::new(Body::empty()))
        };
        let (answer, ()) = tokio::join!(call(SIGNAL, &[], &stopping, until_stopped), async {
            tokio::task::yield_now().await;
            stopping.send_replace(true);
        });
        assert_eq!(status(&answer), None);
    }

    /// Polls for the engine's workflow task through its services, as a connection does.
    async fn poll(engine: &Engine, stopping: &watch::Sender<bool>) -> Response<Body> {
        let services = Services::new(
            engine.workflow_service(),
            engine.operator_service(),
            engine.test_service(),
            stopping.subscribe(),
        );
        let poll = PollWorkflowTaskQueueRequest {
            namespace: "default".to_owned(),
            task_queue: Some(TaskQueue { name: "queue".to_owned(), ..Default::default() }),
            ..Default::default()
        };
        let message = poll.encode_to_vec();
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let framed: Bytes = [&[0][..], &length, &message].concat().into();
        let mut request = Request::new(Body::new(Full::new(framed).map_err(|never| match never {})));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() =
            format!("http://localhost/{}/PollWorkflowTaskQueue", workflow_service_server::SERVICE_NAME)
                .parse()
                .unwrap();
        // A poll without a task ends soon.
        request.headers_mut().insert("grpc-timeout", HeaderValue::from_static("1S"));
        services.oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn a_task_is_offered_again_unless_its_whole_response_was_sent() {
        let (stopping, _) = watch::channel(false);
        let engine = Engine::memory(ClockMode::Real).unwrap();
        let start = StartWorkflowExecutionRequest {
            namespace: "default".to_owned(),
            workflow_id: "w".to_owned(),
            workflow_type: Some(WorkflowType { name: "Flow".to_owned() }),
            task_queue: Some(TaskQueue { name: "queue".to_owned(), ..Default::default() }),
            request_id: "start".to_owned(),
            ..Default::default()
        };
        engine.workflows().start_workflow_execution(tonic::Request::new(start)).await.unwrap();
        // The connection breaks before any part of the response was sent, and after its message.
        drop(poll(&engine, &stopping).await);
        let mut cut = poll(&engine, &stopping).await;
        assert!(cut.body_mut().frame().await.unwrap().unwrap().data_ref().unwrap().len() > 5, "it has the task");
        drop(cut);
        let sent = poll(&engine, &stopping).await.into_body().collect().await.unwrap();
        assert!(sent.trailers().is_some());
        assert!(sent.to_bytes().len() > 5, "it has the task again");
        let empty = poll(&engine, &stopping).await.into_body().collect().await.unwrap();
        assert_eq!(empty.to_bytes().len(), 5, "the worker has it");
    }

    /// Regression: a worker retried the report of a failure with too many causes, because it got an internal error.
    #[tokio::test]
    async fn a_request_that_cannot_be_decoded_is_an_invalid_argument() {
        let engine = Engine::memory(ClockMode::Real).unwrap();
        let (stopping, _) = watch::channel(false);
        // `Failure.cause`, nested, then `RespondActivityTaskFailedRequest.failure`.
        let mut message = Vec::new();
        for key in std::iter::repeat_n(0x22, 120).chain([0x12]) {
            let mut outer = vec![key];
            prost::encoding::encode_varint(message.len() as u64, &mut outer);
            outer.append(&mut message);
            message = outer;
        }
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.append(&mut message);
        let serve = |request: Request<Body>| {
            let request = request.map(|_| Body::new(Full::new(Bytes::from(frame.clone()))));
            engine.workflow_service().oneshot(request)
        };
        let method = "temporal.api.workflowservice.v1.WorkflowService/RespondActivityTaskFailed";
        let answer = call(method, &[("content-type", "application/grpc")], &stopping, serve).await;
        let expected = (Code::InvalidArgument, "cannot decode the request: recursion limit reached".to_owned());
        assert_eq!(status(&answer), Some(expected));
    }

    #[tokio::test]
    async fn other_errors_keep_their_messages() {
        let (stopping, _) = watch::channel(false);
        for refusal in [
            Status::out_of_range("a newer build exists"),
            Status::resource_exhausted("too busy"),
            Status::internal("a bug"),
        ] {
            let expected = (refusal.code(), refusal.message().to_owned());
            let answer = call(SIGNAL, &[], &stopping, move |_| ready(Ok(refusal.clone().into_http()))).await;
            assert_eq!(status(&answer), Some(expected));
        }
    }
}
