//! The Temporal API as Rust types and [tonic] services, generated ahead of time.
//!
//! Modules follow the packages: `temporal.api.common.v1.Payload` is [`temporal::api::common::v1::Payload`]. Every
//! `bytes` field is a [`bytes::Bytes`], so copying a payload copies no data. Clients and servers meet at the
//! [`tower`](https://docs.rs/tower) service trait: a client takes a channel, or a server of the same process.
//!
//! The code comes from the published `.proto` files and is committed, so building needs no `protoc`. To make it again,
//! after a new version of those files or of prost and tonic:
//!
//! ```text
//! cargo run -p everloop-proto-generator
//! ```
//!
//! `cargo test -p everloop-proto-generator` fails when the committed code differs from the generated code.

#[allow(clippy::all, unreachable_pub, unused_qualifications, reason = "generated code follows its generator's style")]
mod generated;
pub mod timeline;
pub mod well_formed;

pub use generated::{google, grpc, temporal};

/// The messages of histories, descriptions of runs and query results: an encoded `FileDescriptorSet` of them and all messages they
/// refer to, for libraries that read or write their JSON.
#[cfg(feature = "descriptors")]
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.binpb");

/// Descriptors of the requests of the workflow service: an encoded `FileDescriptorSet` of them and all messages they refer to. A
/// test of the server uses it to check that every field is handled or rejected.
#[cfg(feature = "request-descriptors")]
pub const REQUEST_DESCRIPTORS: &[u8] = include_bytes!("generated/requests.binpb");

#[cfg(all(test, feature = "client", feature = "server"))]
mod tests {
    use prost::Name;
    use tonic::{Request, Response, Status};

    use crate::{
        grpc::health::v1::{
            HealthCheckRequest, HealthCheckResponse,
            health_check_response::ServingStatus,
            health_client::HealthClient,
            health_server::{Health, HealthServer},
        },
        temporal::api::{errordetails::v1::WorkflowExecutionAlreadyStartedFailure, update},
    };

    struct OnlyWorkflows;

    #[tonic::async_trait]
    impl Health for OnlyWorkflows {
        async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
            match request.into_inner().service.as_str() {
                "workflows" => Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() })),
                other => Err(Status::not_found(other)),
            }
        }

        type WatchStream = tonic::codegen::BoxStream<HealthCheckResponse>;

        async fn watch(&self, _request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
            Err(Status::unimplemented("watch"))
        }
    }

    #[tokio::test]
    async fn a_client_calls_a_server_of_its_own_process() {
        let mut client = HealthClient::new(HealthServer::new(OnlyWorkflows));
        let mut check = async |service: &str| client.check(HealthCheckRequest { service: service.into() }).await;
        assert_eq!(check("workflows").await.unwrap().into_inner().status(), ServingStatus::Serving);
        assert_eq!(check("schedules").await.unwrap_err().code(), tonic::Code::NotFound);
    }

    #[test]
    fn type_urls_match_those_of_other_sdks() {
        assert_eq!(
            WorkflowExecutionAlreadyStartedFailure::type_url(),
            "type.googleapis.com/temporal.api.errordetails.v1.WorkflowExecutionAlreadyStartedFailure"
        );
        assert_eq!(update::v1::Request::type_url(), "type.googleapis.com/temporal.api.update.v1.Request");
    }
}
