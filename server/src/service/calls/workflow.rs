//! The workflow service: wire types in, wire types out.
//!
//! One line per call. Unsupported calls are rejected, and the error names them.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server::WorkflowService;
use tonic::{Request, Response, Status};

use crate::api::workflowservice::*;
use crate::clock::ClockHolder;
use crate::service::calls::call::Call;
use crate::service::calls::failures::CarriesFailures as _;
use crate::service::handle::Handle;

/// The future of a call.
type CallFuture<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

/// Serves the calls of one engine.
#[derive(Clone, Debug)]
pub struct Workflows {
    pub(in crate::service) handle: Arc<Handle>,
}

/// Calls that change a run without waiting: a time-skipping clock does not jump during them. Responses of workers are
/// not in the list, because their tasks hold the clock already; updates wait, and hold the clock only while they change
/// something.
const CHANGES: [&str; 8] = [
    "start_workflow_execution",
    "signal_with_start_workflow_execution",
    "signal_workflow_execution",
    "request_cancel_workflow_execution",
    "terminate_workflow_execution",
    "pause_activity",
    "unpause_activity",
    "reset_activity",
];

/// Implements methods by the methods of [`Core`](crate::service::core::Core) with the same name. Requests marked `with
/// failures` have their chains of causes cut before anything else happens.
macro_rules! serve {
    (with, $request:ident) => {
        $request.get_mut().cut_causes()
    };
    ($($call:ident($request:ident $($and:ident failures)?) -> $response:ident,)*) => {$(
        fn $call<'life, 'call>(
            &'life self,
            #[allow(unused_mut, reason = "only some requests are changed")] mut request: Request<$request>,
        ) -> CallFuture<'call, $response>
        where
            'life: 'call,
            Self: 'call,
        {
            // Done before the future is polled: dropping a call that has not begun drops its request.
            $(serve!($and, request);)?
            let core = Arc::clone(&self.handle.core);
            Box::pin(async move {
                let call = Call::of(&request, &core);
                core.store.check()?;
                let handover = call.handover.clone();
                // The clock must not jump between the reading of the time and the tasks that follow from it.
                let _changing = CHANGES.contains(&stringify!($call)).then(|| core.timers.hold(ClockHolder::Call));
                let answer = core.$call(request.into_inner(), call).await;
                // The response may contain state that a failed store will never have.
                let answer = core.store.check().map_err(Status::from).and(answer);
                match &answer {
                    Ok(_) => handover.returned(),
                    Err(_) => handover.failed(),
                }
                answer.map(Response::new)
            })
        }
    )*};
}

/// Implements the methods of unsupported features.
macro_rules! refuse {
    ($($call:ident($request:ident) -> $response:ident,)*) => {$(
        fn $call<'life, 'call>(&'life self, _: Request<$request>) -> CallFuture<'call, $response>
        where
            'life: 'call,
            Self: 'call,
        {
            Box::pin(ready(Err(Status::unimplemented(concat!(stringify!($call), " is not supported by this server")))))
        }
    )*};
}

impl WorkflowService for Workflows {
    serve! {
        register_namespace(RegisterNamespaceRequest) -> RegisterNamespaceResponse,
        describe_namespace(DescribeNamespaceRequest) -> DescribeNamespaceResponse,
        list_namespaces(ListNamespacesRequest) -> ListNamespacesResponse,
        update_namespace(UpdateNamespaceRequest) -> UpdateNamespaceResponse,
        deprecate_namespace(DeprecateNamespaceRequest) -> DeprecateNamespaceResponse,
        start_workflow_execution(StartWorkflowExecutionRequest with failures) -> StartWorkflowExecutionResponse,
        signal_with_start_workflow_execution(SignalWithStartWorkflowExecutionRequest) -> SignalWithStartWorkflowExecutionResponse,
        signal_workflow_execution(SignalWorkflowExecutionRequest) -> SignalWorkflowExecutionResponse,
        request_cancel_workflow_execution(RequestCancelWorkflowExecutionRequest) -> RequestCancelWorkflowExecutionResponse,
        terminate_workflow_execution(TerminateWorkflowExecutionRequest) -> TerminateWorkflowExecutionResponse,
        get_workflow_execution_history(GetWorkflowExecutionHistoryRequest) -> GetWorkflowExecutionHistoryResponse,
        get_workflow_execution_history_reverse(GetWorkflowExecutionHistoryReverseRequest) -> GetWorkflowExecutionHistoryReverseResponse,
        describe_workflow_execution(DescribeWorkflowExecutionRequest) -> DescribeWorkflowExecutionResponse,
        query_workflow(QueryWorkflowRequest) -> QueryWorkflowResponse,
        update_workflow_execution(UpdateWorkflowExecutionRequest) -> UpdateWorkflowExecutionResponse,
        poll_workflow_execution_update(PollWorkflowExecutionUpdateRequest) -> PollWorkflowExecutionUpdateResponse,
        poll_workflow_task_queue(PollWorkflowTaskQueueRequest) -> PollWorkflowTaskQueueResponse,
        respond_workflow_task_completed(RespondWorkflowTaskCompletedRequest with failures) -> RespondWorkflowTaskCompletedResponse,
        respond_workflow_task_failed(RespondWorkflowTaskFailedRequest with failures) -> RespondWorkflowTaskFailedResponse,
        respond_query_task_completed(RespondQueryTaskCompletedRequest with failures) -> RespondQueryTaskCompletedResponse,
        reset_sticky_task_queue(ResetStickyTaskQueueRequest) -> ResetStickyTaskQueueResponse,
        shutdown_worker(ShutdownWorkerRequest) -> ShutdownWorkerResponse,
        poll_activity_task_queue(PollActivityTaskQueueRequest) -> PollActivityTaskQueueResponse,
        poll_nexus_task_queue(PollNexusTaskQueueRequest) -> PollNexusTaskQueueResponse,
        respond_activity_task_completed(RespondActivityTaskCompletedRequest) -> RespondActivityTaskCompletedResponse,
        respond_activity_task_completed_by_id(RespondActivityTaskCompletedByIdRequest) -> RespondActivityTaskCompletedByIdResponse,
        respond_activity_task_failed(RespondActivityTaskFailedRequest with failures) -> RespondActivityTaskFailedResponse,
        respond_activity_task_failed_by_id(RespondActivityTaskFailedByIdRequest with failures) -> RespondActivityTaskFailedByIdResponse,
        respond_activity_task_canceled(RespondActivityTaskCanceledRequest) -> RespondActivityTaskCanceledResponse,
        respond_activity_task_canceled_by_id(RespondActivityTaskCanceledByIdRequest) -> RespondActivityTaskCanceledByIdResponse,
        record_activity_task_heartbeat(RecordActivityTaskHeartbeatRequest) -> RecordActivityTaskHeartbeatResponse,
        record_activity_task_heartbeat_by_id(RecordActivityTaskHeartbeatByIdRequest) -> RecordActivityTaskHeartbeatByIdResponse,
        pause_activity(PauseActivityRequest) -> PauseActivityResponse,
        unpause_activity(UnpauseActivityRequest) -> UnpauseActivityResponse,
        reset_activity(ResetActivityRequest) -> ResetActivityResponse,
        list_workflow_executions(ListWorkflowExecutionsRequest) -> ListWorkflowExecutionsResponse,
        scan_workflow_executions(ScanWorkflowExecutionsRequest) -> ScanWorkflowExecutionsResponse,
        count_workflow_executions(CountWorkflowExecutionsRequest) -> CountWorkflowExecutionsResponse,
        describe_task_queue(DescribeTaskQueueRequest) -> DescribeTaskQueueResponse,
        get_system_info(GetSystemInfoRequest) -> GetSystemInfoResponse,
        get_cluster_info(GetClusterInfoRequest) -> GetClusterInfoResponse,
    }

    refuse! {
        execute_multi_operation(ExecuteMultiOperationRequest) -> ExecuteMultiOperationResponse,
        reset_workflow_execution(ResetWorkflowExecutionRequest) -> ResetWorkflowExecutionResponse,
        delete_workflow_execution(DeleteWorkflowExecutionRequest) -> DeleteWorkflowExecutionResponse,
        list_open_workflow_executions(ListOpenWorkflowExecutionsRequest) -> ListOpenWorkflowExecutionsResponse,
        list_closed_workflow_executions(ListClosedWorkflowExecutionsRequest) -> ListClosedWorkflowExecutionsResponse,
        list_archived_workflow_executions(ListArchivedWorkflowExecutionsRequest) -> ListArchivedWorkflowExecutionsResponse,
        get_search_attributes(GetSearchAttributesRequest) -> GetSearchAttributesResponse,
        list_task_queue_partitions(ListTaskQueuePartitionsRequest) -> ListTaskQueuePartitionsResponse,
        create_schedule(CreateScheduleRequest) -> CreateScheduleResponse,
        describe_schedule(DescribeScheduleRequest) -> DescribeScheduleResponse,
        update_schedule(UpdateScheduleRequest) -> UpdateScheduleResponse,
        patch_schedule(PatchScheduleRequest) -> PatchScheduleResponse,
        list_schedule_matching_times(ListScheduleMatchingTimesRequest) -> ListScheduleMatchingTimesResponse,
        delete_schedule(DeleteScheduleRequest) -> DeleteScheduleResponse,
        list_schedules(ListSchedulesRequest) -> ListSchedulesResponse,
        count_schedules(CountSchedulesRequest) -> CountSchedulesResponse,
        update_worker_build_id_compatibility(UpdateWorkerBuildIdCompatibilityRequest) -> UpdateWorkerBuildIdCompatibilityResponse,
        get_worker_build_id_compatibility(GetWorkerBuildIdCompatibilityRequest) -> GetWorkerBuildIdCompatibilityResponse,
        update_worker_versioning_rules(UpdateWorkerVersioningRulesRequest) -> UpdateWorkerVersioningRulesResponse,
        get_worker_versioning_rules(GetWorkerVersioningRulesRequest) -> GetWorkerVersioningRulesResponse,
        get_worker_task_reachability(GetWorkerTaskReachabilityRequest) -> GetWorkerTaskReachabilityResponse,
        describe_deployment(DescribeDeploymentRequest) -> DescribeDeploymentResponse,
        describe_worker_deployment_version(DescribeWorkerDeploymentVersionRequest) -> DescribeWorkerDeploymentVersionResponse,
        list_deployments(ListDeploymentsRequest) -> ListDeploymentsResponse,
        get_deployment_reachability(GetDeploymentReachabilityRequest) -> GetDeploymentReachabilityResponse,
        get_current_deployment(GetCurrentDeploymentRequest) -> GetCurrentDeploymentResponse,
        set_current_deployment(SetCurrentDeploymentRequest) -> SetCurrentDeploymentResponse,
        set_worker_deployment_current_version(SetWorkerDeploymentCurrentVersionRequest) -> SetWorkerDeploymentCurrentVersionResponse,
        describe_worker_deployment(DescribeWorkerDeploymentRequest) -> DescribeWorkerDeploymentResponse,
        delete_worker_deployment(DeleteWorkerDeploymentRequest) -> DeleteWorkerDeploymentResponse,
        delete_worker_deployment_version(DeleteWorkerDeploymentVersionRequest) -> DeleteWorkerDeploymentVersionResponse,
        set_worker_deployment_ramping_version(SetWorkerDeploymentRampingVersionRequest) -> SetWorkerDeploymentRampingVersionResponse,
        list_worker_deployments(ListWorkerDeploymentsRequest) -> ListWorkerDeploymentsResponse,
        create_worker_deployment(CreateWorkerDeploymentRequest) -> CreateWorkerDeploymentResponse,
        create_worker_deployment_version(CreateWorkerDeploymentVersionRequest) -> CreateWorkerDeploymentVersionResponse,
        update_worker_deployment_version_metadata(UpdateWorkerDeploymentVersionMetadataRequest) -> UpdateWorkerDeploymentVersionMetadataResponse,
        set_worker_deployment_manager(SetWorkerDeploymentManagerRequest) -> SetWorkerDeploymentManagerResponse,
        start_batch_operation(StartBatchOperationRequest) -> StartBatchOperationResponse,
        stop_batch_operation(StopBatchOperationRequest) -> StopBatchOperationResponse,
        describe_batch_operation(DescribeBatchOperationRequest) -> DescribeBatchOperationResponse,
        list_batch_operations(ListBatchOperationsRequest) -> ListBatchOperationsResponse,
        respond_nexus_task_completed(RespondNexusTaskCompletedRequest) -> RespondNexusTaskCompletedResponse,
        respond_nexus_task_failed(RespondNexusTaskFailedRequest) -> RespondNexusTaskFailedResponse,
        update_activity_options(UpdateActivityOptionsRequest) -> UpdateActivityOptionsResponse,
        update_workflow_execution_options(UpdateWorkflowExecutionOptionsRequest) -> UpdateWorkflowExecutionOptionsResponse,
        create_workflow_rule(CreateWorkflowRuleRequest) -> CreateWorkflowRuleResponse,
        describe_workflow_rule(DescribeWorkflowRuleRequest) -> DescribeWorkflowRuleResponse,
        delete_workflow_rule(DeleteWorkflowRuleRequest) -> DeleteWorkflowRuleResponse,
        list_workflow_rules(ListWorkflowRulesRequest) -> ListWorkflowRulesResponse,
        trigger_workflow_rule(TriggerWorkflowRuleRequest) -> TriggerWorkflowRuleResponse,
        record_worker_heartbeat(RecordWorkerHeartbeatRequest) -> RecordWorkerHeartbeatResponse,
        list_workers(ListWorkersRequest) -> ListWorkersResponse,
        count_workers(CountWorkersRequest) -> CountWorkersResponse,
        update_task_queue_config(UpdateTaskQueueConfigRequest) -> UpdateTaskQueueConfigResponse,
        fetch_worker_config(FetchWorkerConfigRequest) -> FetchWorkerConfigResponse,
        update_worker_config(UpdateWorkerConfigRequest) -> UpdateWorkerConfigResponse,
        describe_worker(DescribeWorkerRequest) -> DescribeWorkerResponse,
        pause_workflow_execution(PauseWorkflowExecutionRequest) -> PauseWorkflowExecutionResponse,
        unpause_workflow_execution(UnpauseWorkflowExecutionRequest) -> UnpauseWorkflowExecutionResponse,
        start_activity_execution(StartActivityExecutionRequest) -> StartActivityExecutionResponse,
        start_nexus_operation_execution(StartNexusOperationExecutionRequest) -> StartNexusOperationExecutionResponse,
        describe_activity_execution(DescribeActivityExecutionRequest) -> DescribeActivityExecutionResponse,
        describe_nexus_operation_execution(DescribeNexusOperationExecutionRequest) -> DescribeNexusOperationExecutionResponse,
        poll_activity_execution(PollActivityExecutionRequest) -> PollActivityExecutionResponse,
        poll_nexus_operation_execution(PollNexusOperationExecutionRequest) -> PollNexusOperationExecutionResponse,
        list_activity_executions(ListActivityExecutionsRequest) -> ListActivityExecutionsResponse,
        list_nexus_operation_executions(ListNexusOperationExecutionsRequest) -> ListNexusOperationExecutionsResponse,
        count_activity_executions(CountActivityExecutionsRequest) -> CountActivityExecutionsResponse,
        count_nexus_operation_executions(CountNexusOperationExecutionsRequest) -> CountNexusOperationExecutionsResponse,
        request_cancel_activity_execution(RequestCancelActivityExecutionRequest) -> RequestCancelActivityExecutionResponse,
        request_cancel_nexus_operation_execution(RequestCancelNexusOperationExecutionRequest) -> RequestCancelNexusOperationExecutionResponse,
        terminate_activity_execution(TerminateActivityExecutionRequest) -> TerminateActivityExecutionResponse,
        delete_activity_execution(DeleteActivityExecutionRequest) -> DeleteActivityExecutionResponse,
        pause_activity_execution(PauseActivityExecutionRequest) -> PauseActivityExecutionResponse,
        reset_activity_execution(ResetActivityExecutionRequest) -> ResetActivityExecutionResponse,
        unpause_activity_execution(UnpauseActivityExecutionRequest) -> UnpauseActivityExecutionResponse,
        update_activity_execution_options(UpdateActivityExecutionOptionsRequest) -> UpdateActivityExecutionOptionsResponse,
        terminate_nexus_operation_execution(TerminateNexusOperationExecutionRequest) -> TerminateNexusOperationExecutionResponse,
        delete_nexus_operation_execution(DeleteNexusOperationExecutionRequest) -> DeleteNexusOperationExecutionResponse,
        poll_workflow_execution_time_skipping(PollWorkflowExecutionTimeSkippingRequest) -> PollWorkflowExecutionTimeSkippingResponse,
        update_worker_deployment_version_compute_config(UpdateWorkerDeploymentVersionComputeConfigRequest) -> UpdateWorkerDeploymentVersionComputeConfigResponse,
        validate_worker_deployment_version_compute_config(ValidateWorkerDeploymentVersionComputeConfigRequest) -> ValidateWorkerDeploymentVersionComputeConfigResponse,
    }
}
