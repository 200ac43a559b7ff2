//! The calls of the workflow service: one trait over the methods of the generated client and of an engine in this process.

use std::future::Future;

#[cfg(feature = "embedded")]
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server::WorkflowService;
use everloop_proto::temporal::api::workflowservice::v1::{
    self as wire, workflow_service_client::WorkflowServiceClient,
};
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

use super::transport::Transport;
#[cfg(feature = "embedded")]
use crate::embedded::Workflows;

/// The size limit of a response. Histories may be long.
const LARGEST_REPLY_BYTES: usize = 128 << 20;

/// The location of the workflow service.
#[derive(Clone)]
pub(crate) enum Server {
    /// A server that receives encoded messages.
    Remote(WorkflowServiceClient<Transport>),
    /// An engine in this process, which receives messages without encoding.
    #[cfg(feature = "embedded")]
    Embedded(Workflows),
}

impl Server {
    pub(super) fn remote(transport: Transport) -> Self {
        let client = WorkflowServiceClient::new(transport)
            .accept_compressed(CompressionEncoding::Gzip)
            .max_decoding_message_size(LARGEST_REPLY_BYTES);
        Self::Remote(client)
    }
}

/// A request of the workflow service, with its method.
pub(crate) trait Rpc: prost::Message + Clone + 'static {
    /// The server's response.
    type Reply: Send + 'static;
    /// The method, for error messages.
    const NAME: &'static str;

    fn send(
        server: Server,
        request: Request<Self>,
    ) -> impl Future<Output = Result<Response<Self::Reply>, Status>> + Send;
}

macro_rules! rpcs {
    ($($request:ident $method:ident $reply:ident)*) => {$(
        impl Rpc for wire::$request {
            type Reply = wire::$reply;
            const NAME: &'static str = stringify!($method);

            async fn send(server: Server, request: Request<Self>) -> Result<Response<Self::Reply>, Status> {
                match server {
                    Server::Remote(mut client) => client.$method(request).await,
                    #[cfg(feature = "embedded")]
                    Server::Embedded(workflows) => workflows.$method(request).await,
                }
            }
        }
    )*};
}

rpcs! {
    GetSystemInfoRequest get_system_info GetSystemInfoResponse
    DescribeNamespaceRequest describe_namespace DescribeNamespaceResponse
    StartWorkflowExecutionRequest start_workflow_execution StartWorkflowExecutionResponse
    SignalWithStartWorkflowExecutionRequest signal_with_start_workflow_execution SignalWithStartWorkflowExecutionResponse
    SignalWorkflowExecutionRequest signal_workflow_execution SignalWorkflowExecutionResponse
    QueryWorkflowRequest query_workflow QueryWorkflowResponse
    UpdateWorkflowExecutionRequest update_workflow_execution UpdateWorkflowExecutionResponse
    PollWorkflowExecutionUpdateRequest poll_workflow_execution_update PollWorkflowExecutionUpdateResponse
    RequestCancelWorkflowExecutionRequest request_cancel_workflow_execution RequestCancelWorkflowExecutionResponse
    TerminateWorkflowExecutionRequest terminate_workflow_execution TerminateWorkflowExecutionResponse
    DescribeWorkflowExecutionRequest describe_workflow_execution DescribeWorkflowExecutionResponse
    GetWorkflowExecutionHistoryRequest get_workflow_execution_history GetWorkflowExecutionHistoryResponse
    ListWorkflowExecutionsRequest list_workflow_executions ListWorkflowExecutionsResponse
    CountWorkflowExecutionsRequest count_workflow_executions CountWorkflowExecutionsResponse
    DescribeTaskQueueRequest describe_task_queue DescribeTaskQueueResponse
    PollWorkflowTaskQueueRequest poll_workflow_task_queue PollWorkflowTaskQueueResponse
    RespondWorkflowTaskCompletedRequest respond_workflow_task_completed RespondWorkflowTaskCompletedResponse
    RespondWorkflowTaskFailedRequest respond_workflow_task_failed RespondWorkflowTaskFailedResponse
    RespondQueryTaskCompletedRequest respond_query_task_completed RespondQueryTaskCompletedResponse
    PollActivityTaskQueueRequest poll_activity_task_queue PollActivityTaskQueueResponse
    RecordActivityTaskHeartbeatRequest record_activity_task_heartbeat RecordActivityTaskHeartbeatResponse
    RecordActivityTaskHeartbeatByIdRequest record_activity_task_heartbeat_by_id RecordActivityTaskHeartbeatByIdResponse
    RespondActivityTaskCompletedRequest respond_activity_task_completed RespondActivityTaskCompletedResponse
    RespondActivityTaskCompletedByIdRequest respond_activity_task_completed_by_id RespondActivityTaskCompletedByIdResponse
    RespondActivityTaskFailedRequest respond_activity_task_failed RespondActivityTaskFailedResponse
    RespondActivityTaskFailedByIdRequest respond_activity_task_failed_by_id RespondActivityTaskFailedByIdResponse
    RespondActivityTaskCanceledRequest respond_activity_task_canceled RespondActivityTaskCanceledResponse
    RespondActivityTaskCanceledByIdRequest respond_activity_task_canceled_by_id RespondActivityTaskCanceledByIdResponse
    PauseActivityRequest pause_activity PauseActivityResponse
    UnpauseActivityRequest unpause_activity UnpauseActivityResponse
    ResetActivityRequest reset_activity ResetActivityResponse
    ShutdownWorkerRequest shutdown_worker ShutdownWorkerResponse
}
