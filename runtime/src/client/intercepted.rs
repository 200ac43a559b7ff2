//! Calls with the interceptors of the client around them.

use everloop_proto::temporal::api::workflowservice::v1 as wire;

use super::client::Client;
use super::interceptor::{CallReply, Called, ClientCall, ClientCallError, ClientOperation, NextCall};
use super::rpc::Rpc;

/// The answer to an operation, of which interceptors see a part.
pub(super) trait Answered: Send + 'static {
    /// The run that was started.
    fn started_run_id(&self) -> Option<String> {
        None
    }
}

impl Answered for wire::StartWorkflowExecutionResponse {
    fn started_run_id(&self) -> Option<String> {
        Some(self.run_id.clone())
    }
}

impl Answered for wire::SignalWithStartWorkflowExecutionResponse {
    fn started_run_id(&self) -> Option<String> {
        Some(self.run_id.clone())
    }
}

impl Answered for wire::SignalWorkflowExecutionResponse {}
impl Answered for wire::QueryWorkflowResponse {}
impl Answered for wire::UpdateWorkflowExecutionResponse {}
impl Answered for wire::RequestCancelWorkflowExecutionResponse {}
impl Answered for wire::TerminateWorkflowExecutionResponse {}
impl Answered for wire::DescribeWorkflowExecutionResponse {}
impl Answered for wire::ListWorkflowExecutionsResponse {}
impl Answered for wire::CountWorkflowExecutionsResponse {}

impl Client {
    /// Makes a call without payloads, with the interceptors around it.
    pub(super) async fn intercepted_rpc<R: Rpc<Reply: Answered>>(
        &self,
        operation: ClientOperation,
        request: R,
    ) -> Result<R::Reply, ClientCallError> {
        let make = |_| async { Ok(self.connection().call(request).await?) };
        self.intercepted(ClientCall::plain(operation), make).await
    }

    /// Makes a call, with the interceptors around it.
    pub(super) async fn intercepted<'a, R: Answered, F: Future<Output = Result<R, ClientCallError>> + Send + 'a>(
        &'a self,
        call: ClientCall,
        make: impl FnOnce(ClientCall) -> F + Send + 'a,
    ) -> Result<R, ClientCallError> {
        let interceptors = &self.inner.interceptors;
        if interceptors.is_empty() {
            return make(call).await;
        }
        let make = move |call: ClientCall| -> Called<'a> {
            Box::pin(async move {
                let reply = make(call).await?;
                Ok(CallReply { run_id: reply.started_run_id(), reply: Box::new(reply) })
            })
        };
        let reply = NextCall { rest: interceptors, call: Box::new(make) }.run(call).await?;
        match reply.reply.downcast() {
            Ok(reply) => Ok(*reply),
            Err(_) => Err(ClientCallError::refused("it returned the answer to another call")),
        }
    }
}
