//! Responses to queries.

use everloop_proto::temporal::api::enums::v1::QueryResultType;
use everloop_proto::temporal::api::query::v1::WorkflowQueryResult;
use everloop_proto::temporal::api::workflowservice::v1 as wire;

use super::identity::TaskIdentity;
use crate::executor::QueryFailure;
use crate::raw;
use crate::worker::jobs::QueryAnswers;
use crate::worker::link::Owner;
use crate::worker::send_error::SendError;
use crate::worker::shell::Shell;
use crate::worker::unsent::failed_query_result;

impl Shell {
    pub(super) async fn answer_query(
        &self,
        identity: &TaskIdentity,
        task_token: bytes::Bytes,
        answers: QueryAnswers,
    ) -> Result<(), SendError> {
        let Some((_, answer)) = answers.into_iter().next() else { return Ok(()) };
        let answered = |result: WorkflowQueryResult| wire::RespondQueryTaskCompletedRequest {
            task_token: task_token.clone(),
            completed_type: result.result_type,
            query_result: result.answer,
            error_message: result.error_message,
            failure: result.failure,
            namespace: self.link.namespace.clone(),
            ..Default::default()
        };
        let failed = |error: &SendError| answered(failed_query_result(error.failure_of("the query's answer")));
        self.link.send_or(Owner::Workflow(&identity.workflow_id), answered(query_result(answer)), failed).await
    }
}

pub(super) fn query_result(answer: Result<raw::Payload, QueryFailure>) -> WorkflowQueryResult {
    match answer {
        Ok(payload) => WorkflowQueryResult {
            result_type: QueryResultType::Answered as i32,
            answer: Some(raw::Payloads { payloads: vec![payload] }),
            ..Default::default()
        },
        Err(QueryFailure { failure }) => failed_query_result(*failure),
    }
}
