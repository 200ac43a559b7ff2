//! `grpc.health.v1`: connection checks of clients and orchestrators.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use everloop_proto::grpc::health::v1::health_check_response::ServingStatus;
use everloop_proto::grpc::health::v1::health_server::Health;
use everloop_proto::grpc::health::v1::{HealthCheckRequest, HealthCheckResponse};
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server::SERVICE_NAME as WORKFLOW_SERVICE;
use tonic::codegen::BoxStream;
use tonic::codegen::tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::stop::StopNotice;

/// Reports that the workflow service is serving, until the socket stops.
#[derive(Clone, Debug)]
pub(crate) struct HealthService {
    stop: StopNotice,
}

impl HealthService {
    /// Serving until the stop notice.
    pub(super) fn new(stop: StopNotice) -> Self {
        Self { stop }
    }

    fn status(&self) -> HealthCheckResponse {
        answer(if self.stop.is_given() { ServingStatus::NotServing } else { ServingStatus::Serving })
    }
}

/// Whether `service` is the whole server or the workflow service.
fn is_known(service: &str) -> bool {
    ["", WORKFLOW_SERVICE].contains(&service)
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match request.get_ref().service.as_str() {
            service if is_known(service) => Ok(Response::new(self.status())),
            service => Err(Status::not_found(format!("unknown service {service}"))),
        }
    }

    type WatchStream = BoxStream<HealthCheckResponse>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let stop = self.stop.clone();
        let now = match is_known(&request.get_ref().service) {
            true => self.status(),
            false => answer(ServingStatus::ServiceUnknown),
        };
        let stops = Box::pin(async move { stop.given().await });
        Ok(Response::new(Box::pin(Changes { now: Some(now), stops: Some(stops) })))
    }
}

/// The current status, followed by the change at the stop.
struct Changes {
    now: Option<HealthCheckResponse>,
    stops: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Stream for Changes {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(now) = self.now.take() {
            return Poll::Ready(Some(Ok(now)));
        }
        let Some(stops) = &mut self.stops else { return Poll::Ready(None) };
        ready!(stops.as_mut().poll(context));
        self.stops = None;
        Poll::Ready(Some(Ok(answer(ServingStatus::NotServing))))
    }
}
