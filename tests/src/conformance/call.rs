//! One way to send any request of the workflow service.

use everloop_proto::temporal::api::workflowservice::v1::{self as service, workflow_service_client};
use tonic::{Request, Response, Status};

use crate::target::Connection;

pub(super) type Client = workflow_service_client::WorkflowServiceClient<Connection>;

/// A request type with the call it belongs to.
pub(super) trait Call: Sized + Send + 'static {
    /// The name of the call, as in transcripts.
    const NAME: &str;
    type Reply: std::fmt::Debug + Send + 'static;

    fn send(
        request: Request<Self>,
        client: Client,
    ) -> impl Future<Output = Result<Response<Self::Reply>, Status>> + Send;
}

macro_rules! calls {
    ($($method:ident: $request:ident -> $reply:ident;)*) => {
        $(impl Call for service::$request {
            const NAME: &str = stringify!($method);
            type Reply = service::$reply;

            async fn send(request: Request<Self>, mut client: Client) -> Result<Response<Self::Reply>, Status> {
                client.$method(request).await
            }
        })*
    };
}

calls! {
    register_namespace: RegisterNamespaceRequest -> RegisterNamespaceResponse;
    describe_namespace: DescribeNamespaceRequest -> DescribeNamespaceResponse;
    list_namespaces: ListNamespacesRequest -> ListNamespacesResponse;
    update_namespace: UpdateNamespaceRequest -> UpdateNamespaceResponse;
    deprecate_namespace: DeprecateNamespaceRequest -> DeprecateNamespaceResponse;
    start_workflow_execution: StartWorkflowExecutionRequest -> StartWorkflowExecutionResponse;
    execute_multi_operation: ExecuteMultiOperationRequest -> ExecuteMultiOperationResponse;
    get_workflow_execution_history: GetWorkflowExecutionHistoryRequest -> GetWorkflowExecutionHistoryResponse;
    get_workflow_execution_history_reverse: GetWorkflowExecutionHistoryReverseRequest -> GetWorkflowExecutionHistoryReverseResponse;
    poll_workflow_task_queue: PollWorkflowTaskQueueRequest -> PollWorkflowTaskQueueResponse;
    respond_workflow_task_completed: RespondWorkflowTaskCompletedRequest -> RespondWorkflowTaskCompletedResponse;
    respond_workflow_task_failed: RespondWorkflowTaskFailedRequest -> RespondWorkflowTaskFailedResponse;
    poll_activity_task_queue: PollActivityTaskQueueRequest -> PollActivityTaskQueueResponse;
    record_activity_task_heartbeat: RecordActivityTaskHeartbeatRequest -> RecordActivityTaskHeartbeatResponse;
    record_activity_task_heartbeat_by_id: RecordActivityTaskHeartbeatByIdRequest -> RecordActivityTaskHeartbeatByIdResponse;
    respond_activity_task_completed: RespondActivityTaskCompletedRequest -> RespondActivityTaskCompletedResponse;
    respond_activity_task_completed_by_id: RespondActivityTaskCompletedByIdRequest -> RespondActivityTaskCompletedByIdResponse;
    respond_activity_task_failed: RespondActivityTaskFailedRequest -> RespondActivityTaskFailedResponse;
    respond_activity_task_failed_by_id: RespondActivityTaskFailedByIdRequest -> RespondActivityTaskFailedByIdResponse;
    respond_activity_task_canceled: RespondActivityTaskCanceledRequest -> RespondActivityTaskCanceledResponse;
    respond_activity_task_canceled_by_id: RespondActivityTaskCanceledByIdRequest -> RespondActivityTaskCanceledByIdResponse;
    request_cancel_workflow_execution: RequestCancelWorkflowExecutionRequest -> RequestCancelWorkflowExecutionResponse;
    signal_workflow_execution: SignalWorkflowExecutionRequest -> SignalWorkflowExecutionResponse;
    signal_with_start_workflow_execution: SignalWithStartWorkflowExecutionRequest -> SignalWithStartWorkflowExecutionResponse;
    reset_workflow_execution: ResetWorkflowExecutionRequest -> ResetWorkflowExecutionResponse;
    terminate_workflow_execution: TerminateWorkflowExecutionRequest -> TerminateWorkflowExecutionResponse;
    delete_workflow_execution: DeleteWorkflowExecutionRequest -> DeleteWorkflowExecutionResponse;
    list_open_workflow_executions: ListOpenWorkflowExecutionsRequest -> ListOpenWorkflowExecutionsResponse;
    list_closed_workflow_executions: ListClosedWorkflowExecutionsRequest -> ListClosedWorkflowExecutionsResponse;
    list_workflow_executions: ListWorkflowExecutionsRequest -> ListWorkflowExecutionsResponse;
    scan_workflow_executions: ScanWorkflowExecutionsRequest -> ScanWorkflowExecutionsResponse;
    count_workflow_executions: CountWorkflowExecutionsRequest -> CountWorkflowExecutionsResponse;
    get_search_attributes: GetSearchAttributesRequest -> GetSearchAttributesResponse;
    respond_query_task_completed: RespondQueryTaskCompletedRequest -> RespondQueryTaskCompletedResponse;
    reset_sticky_task_queue: ResetStickyTaskQueueRequest -> ResetStickyTaskQueueResponse;
    shutdown_worker: ShutdownWorkerRequest -> ShutdownWorkerResponse;
    query_workflow: QueryWorkflowRequest -> QueryWorkflowResponse;
    describe_workflow_execution: DescribeWorkflowExecutionRequest -> DescribeWorkflowExecutionResponse;
    describe_task_queue: DescribeTaskQueueRequest -> DescribeTaskQueueResponse;
    get_cluster_info: GetClusterInfoRequest -> GetClusterInfoResponse;
    get_system_info: GetSystemInfoRequest -> GetSystemInfoResponse;
    create_schedule: CreateScheduleRequest -> CreateScheduleResponse;
    update_workflow_execution: UpdateWorkflowExecutionRequest -> UpdateWorkflowExecutionResponse;
    poll_workflow_execution_update: PollWorkflowExecutionUpdateRequest -> PollWorkflowExecutionUpdateResponse;
    pause_activity: PauseActivityRequest -> PauseActivityResponse;
    unpause_activity: UnpauseActivityRequest -> UnpauseActivityResponse;
    reset_activity: ResetActivityRequest -> ResetActivityResponse;
}
