//! `temporal.api.operatorservice.v1`: lists search attributes; all other calls are rejected, and the error names the
//! feature.

use std::sync::Arc;

use everloop_proto::temporal::api::operatorservice::v1::operator_service_server::OperatorService;
use everloop_proto::temporal::api::operatorservice::v1::*;
use tonic::{Request, Response, Status};

use crate::namespaces::Namespaces;
use crate::visibility::Schema;

/// The operator service of one engine.
#[derive(Clone, Debug)]
pub struct Operator {
    namespaces: Arc<Namespaces>,
}

impl Operator {
    pub(crate) fn new(namespaces: Arc<Namespaces>) -> Self {
        Self { namespaces }
    }

    fn attributes(&self, namespace: &str) -> Result<ListSearchAttributesResponse, Status> {
        self.namespaces.find(namespace)?;
        let attributes = Schema::built_in().attributes().iter();
        let system_attributes = attributes.map(|it| (it.name.clone(), it.kind.indexed().into())).collect();
        Ok(ListSearchAttributesResponse { system_attributes, ..Default::default() })
    }
}

/// Implements the service, with the unsupported calls and the feature that each belongs to.
macro_rules! operator_service {
    ($($call:ident($request:ident) -> $response:ident: $what:literal;)*) => {
        #[tonic::async_trait]
        impl OperatorService for Operator {
            async fn list_search_attributes(
                &self,
                request: Request<ListSearchAttributesRequest>,
            ) -> Result<Response<ListSearchAttributesResponse>, Status> {
                self.attributes(&request.get_ref().namespace).map(Response::new)
            }

            $(
                async fn $call(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                    Err(Status::unimplemented(concat!($what, " is not supported by this server")))
                }
            )*
        }
    };
}

operator_service! {
    add_search_attributes(AddSearchAttributesRequest) -> AddSearchAttributesResponse: "a custom search attribute";
    remove_search_attributes(RemoveSearchAttributesRequest) -> RemoveSearchAttributesResponse:
        "a custom search attribute";
    delete_namespace(DeleteNamespaceRequest) -> DeleteNamespaceResponse: "deletion of a namespace";
    add_or_update_remote_cluster(AddOrUpdateRemoteClusterRequest) -> AddOrUpdateRemoteClusterResponse:
        "a remote cluster";
    remove_remote_cluster(RemoveRemoteClusterRequest) -> RemoveRemoteClusterResponse: "a remote cluster";
    list_clusters(ListClustersRequest) -> ListClustersResponse: "a list of clusters";
    get_nexus_endpoint(GetNexusEndpointRequest) -> GetNexusEndpointResponse: "a Nexus endpoint";
    create_nexus_endpoint(CreateNexusEndpointRequest) -> CreateNexusEndpointResponse: "a Nexus endpoint";
    update_nexus_endpoint(UpdateNexusEndpointRequest) -> UpdateNexusEndpointResponse: "a Nexus endpoint";
    delete_nexus_endpoint(DeleteNexusEndpointRequest) -> DeleteNexusEndpointResponse: "a Nexus endpoint";
    list_nexus_endpoints(ListNexusEndpointsRequest) -> ListNexusEndpointsResponse: "a list of Nexus endpoints";
}
