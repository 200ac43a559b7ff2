//! Calls that read runs and server information.

use std::collections::HashMap;
use std::sync::Arc;

use tonic::Status;

use crate::api::common::Payload;
use crate::api::version::{ReleaseInfo, VersionInfo};
use crate::api::workflow::WorkflowExecutionInfo;
use crate::api::workflowservice::count_workflow_executions_response::AggregationGroup;
use crate::api::workflowservice::get_system_info_response::Capabilities;
use crate::api::workflowservice::{
    CountWorkflowExecutionsRequest, CountWorkflowExecutionsResponse, DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse, GetClusterInfoRequest, GetClusterInfoResponse, GetSystemInfoRequest,
    GetSystemInfoResponse, ListWorkflowExecutionsRequest, ListWorkflowExecutionsResponse,
    ScanWorkflowExecutionsRequest, ScanWorkflowExecutionsResponse, ShutdownWorkerRequest, ShutdownWorkerResponse,
};
use crate::engine::describe::{describe_closed, execution_info};
use crate::engine::error::Refusal;
use crate::engine::start::check_name;
use crate::limits::PAGE_ROWS_MAX;
use crate::matching::{QueueKey, QueueKind};
use crate::namespaces::CLUSTER;
use crate::service::calls::call::Call;
use crate::service::calls::history::execution;
use crate::service::core::Core;
use crate::service::runs::lookup::Located;
use crate::visibility::{Grouping, PageKey, Schema, parse_count, parse_list};

/// The version of the Temporal server whose behaviour this engine follows, and whose histories the tests compare.
/// Clients and the web UI use it to detect the features of a server.
const COMPATIBLE_VERSION: &str = "1.32.1";

impl Core {
    pub(in crate::service) async fn get_system_info(
        self: &Arc<Self>,
        _request: GetSystemInfoRequest,
        _call: Call,
    ) -> Result<GetSystemInfoResponse, Status> {
        Ok(GetSystemInfoResponse {
            server_version: COMPATIBLE_VERSION.to_owned(),
            capabilities: Some(Capabilities {
                signal_and_query_header: true,
                internal_error_differentiation: true,
                activity_failure_include_heartbeat: true,
                encoded_failure_attributes: true,
                upsert_memo: true,
                eager_workflow_start: true,
                sdk_metadata: true,
                count_group_by_execution_status: true,
                // Not supported: schedules, versioning by build id, Nexus, server-run deployments.
                ..Default::default()
            }),
        })
    }

    pub(in crate::service) async fn get_cluster_info(
        self: &Arc<Self>,
        _request: GetClusterInfoRequest,
        _call: Call,
    ) -> Result<GetClusterInfoResponse, Status> {
        Ok(GetClusterInfoResponse {
            server_version: COMPATIBLE_VERSION.to_owned(),
            cluster_id: "everloop".to_owned(),
            cluster_name: CLUSTER.to_owned(),
            history_shard_count: 1,
            persistence_store: "sqlite".to_owned(),
            visibility_store: "sqlite".to_owned(),
            initial_failover_version: 1,
            failover_version_increment: 10,
            version_info: Some(VersionInfo {
                current: Some(ReleaseInfo {
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    notes: "Everloop".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        })
    }

    pub(in crate::service) async fn describe_workflow_execution(
        self: &Arc<Self>,
        request: DescribeWorkflowExecutionRequest,
        _call: Call,
    ) -> Result<DescribeWorkflowExecutionResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, run_id) = execution(request.execution.as_ref())?;
        let (described, seq) = self
            .with_run(&namespace, &workflow_id, &run_id, |located| {
                Ok(match located {
                    Located::Open(_, open) => (open.run.describe(namespace.key)?, open.seq),
                    Located::Closed(closed) => (describe_closed(&closed.row, closed.state()?)?, closed.seq),
                })
            })
            .await?;
        self.durable(seq).await?;
        Ok(described)
    }

    pub(in crate::service) async fn list_workflow_executions(
        self: &Arc<Self>,
        request: ListWorkflowExecutionsRequest,
        _call: Call,
    ) -> Result<ListWorkflowExecutionsResponse, Status> {
        let (executions, next_page_token) =
            self.list(&request.namespace, &request.query, &request.next_page_token, request.page_size).await?;
        Ok(ListWorkflowExecutionsResponse { executions, next_page_token })
    }

    pub(in crate::service) async fn scan_workflow_executions(
        self: &Arc<Self>,
        request: ScanWorkflowExecutionsRequest,
        _call: Call,
    ) -> Result<ScanWorkflowExecutionsResponse, Status> {
        let (executions, next_page_token) =
            self.list(&request.namespace, &request.query, &request.next_page_token, request.page_size).await?;
        Ok(ScanWorkflowExecutionsResponse { executions, next_page_token })
    }

    async fn list(
        &self,
        namespace: &str,
        query: &str,
        page_token: &[u8],
        page_size: i32,
    ) -> Result<(Vec<WorkflowExecutionInfo>, bytes::Bytes), Status> {
        let namespace = self.namespaces.find(namespace)?;
        let filter =
            parse_list(query, Schema::built_in()).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let bad_token = || Refusal::invalid("Invalid NextPageToken.");
        let after = match page_token {
            [] => None,
            token => Some(PageKey::from_token(token).ok_or_else(bad_token)?),
        };
        let page_size = usize::try_from(page_size).ok().filter(|size| *size > 0).unwrap_or(PAGE_ROWS_MAX);
        self.store.caught_up().await?;
        let (rows, next) = self.store.list(namespace.key, &filter, after, page_size.min(PAGE_ROWS_MAX)).await?;
        let shown = |row: &crate::model::VisibilityRow| {
            let mut info = execution_info(row)?;
            if row.close_time_ns.is_none() {
                // These values of open runs change all the time; lists contain them after the end.
                (info.history_length, info.history_size_bytes, info.state_transition_count) = (0, 0, 0);
            }
            Ok(info)
        };
        let shown = rows.iter().map(shown).collect::<Result<_, Refusal>>()?;
        Ok((shown, next.map(|key| key.to_token().into()).unwrap_or_default()))
    }

    pub(in crate::service) async fn count_workflow_executions(
        self: &Arc<Self>,
        request: CountWorkflowExecutionsRequest,
        _call: Call,
    ) -> Result<CountWorkflowExecutionsResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (filter, grouping) = parse_count(&request.query, Schema::built_in())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.store.caught_up().await?;
        let counts = self.store.count(namespace.key, &filter).await?;
        let count = counts.iter().map(|(_, count)| count).sum();
        let groups = match grouping {
            Grouping::None => Vec::new(),
            Grouping::ByStatus => counts
                .into_iter()
                .map(|(status, count)| AggregationGroup { group_values: vec![keyword(status.name())], count })
                .collect(),
        };
        Ok(CountWorkflowExecutionsResponse { count, groups })
    }

    /// Shuts a worker down: its open polls return without a task, and tasks of its sticky queue are offered on the
    /// normal queue.
    pub(in crate::service) async fn shutdown_worker(
        self: &Arc<Self>,
        request: ShutdownWorkerRequest,
        _call: Call,
    ) -> Result<ShutdownWorkerResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let sticky = if request.sticky_task_queue.is_empty() {
            None
        } else {
            check_name("StickyTaskQueue", &request.sticky_task_queue)?;
            let name = request.sticky_task_queue.as_str().into();
            Some(QueueKey { namespace: namespace.key, kind: QueueKind::Sticky, name })
        };
        self.matching.shut_down(namespace.key, &request.worker_instance_key, sticky.as_ref());
        Ok(ShutdownWorkerResponse {})
    }
}

fn keyword(text: &str) -> Payload {
    let metadata = HashMap::from([
        ("encoding".to_owned(), b"json/plain".to_vec().into()),
        ("type".to_owned(), b"Keyword".to_vec().into()),
    ]);
    Payload { metadata, data: format!("\"{text}\"").into_bytes().into(), ..Default::default() }
}
