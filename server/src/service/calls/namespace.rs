//! Calls about namespaces.

use std::sync::Arc;

use tonic::Status;

use crate::api::workflowservice::{
    DeprecateNamespaceRequest, DeprecateNamespaceResponse, DescribeNamespaceRequest, DescribeNamespaceResponse,
    ListNamespacesRequest, ListNamespacesResponse, RegisterNamespaceRequest, RegisterNamespaceResponse,
    UpdateNamespaceRequest, UpdateNamespaceResponse,
};
use crate::service::calls::call::Call;
use crate::service::core::Core;

impl Core {
    pub(in crate::service) async fn register_namespace(
        self: &Arc<Self>,
        request: RegisterNamespaceRequest,
        _call: Call,
    ) -> Result<RegisterNamespaceResponse, Status> {
        let response = self.namespaces.register(request)?;
        self.store.caught_up().await?;
        Ok(response)
    }

    pub(in crate::service) async fn describe_namespace(
        self: &Arc<Self>,
        request: DescribeNamespaceRequest,
        _call: Call,
    ) -> Result<DescribeNamespaceResponse, Status> {
        let response = self.namespaces.describe(&request)?;
        self.store.caught_up().await?;
        Ok(response)
    }

    pub(in crate::service) async fn list_namespaces(
        self: &Arc<Self>,
        request: ListNamespacesRequest,
        _call: Call,
    ) -> Result<ListNamespacesResponse, Status> {
        let response = self.namespaces.list(&request)?;
        self.store.caught_up().await?;
        Ok(response)
    }

    pub(in crate::service) async fn update_namespace(
        self: &Arc<Self>,
        request: UpdateNamespaceRequest,
        _call: Call,
    ) -> Result<UpdateNamespaceResponse, Status> {
        let response = self.namespaces.update(request)?;
        self.store.caught_up().await?;
        Ok(response)
    }

    pub(in crate::service) async fn deprecate_namespace(
        self: &Arc<Self>,
        request: DeprecateNamespaceRequest,
        _call: Call,
    ) -> Result<DeprecateNamespaceResponse, Status> {
        let response = self.namespaces.deprecate(&request)?;
        self.store.caught_up().await?;
        Ok(response)
    }
}
