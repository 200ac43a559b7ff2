//! Answers to queries.

use everloop_proto::temporal::api::enums::v1::QueryResultType;
use everloop_proto::temporal::api::query::v1::WorkflowQueryResult;
use everloop_proto::temporal::api::workflowservice::v1 as wire;

use crate::executor::QueryError;
use crate::raw;
use crate::worker::jobs::QueryAnswers;
use crate::worker::link::LinkError;
use crate::worker::shell::Shell;
use crate::worker::unsent::failed_answer;

impl Shell {
    pub(super) async fn answer_query(&self, task_token: bytes::Bytes, answers: QueryAnswers) -> Result<(), LinkError> {
        let Some((_, answer)) = answers.into_iter().next() else { return Ok(()) };
        match self.send_answer(task_token.clone(), query_result(answer)).await {
            Err(error) if error.is_unsendable() => {
                self.send_answer(task_token, failed_answer(error.failure_of("the query's answer"))).await
            }
            sent => sent,
        }
    }

    async fn send_answer(&self, task_token: bytes::Bytes, answer: WorkflowQueryResult) -> Result<(), LinkError> {
        let WorkflowQueryResult { result_type, answer, error_message, failure } = answer;
        let mut request = wire::RespondQueryTaskCompletedRequest {
            task_token,
            completed_type: result_type,
            query_result: answer,
            error_message,
            failure,
            namespace: self.link.namespace.clone(),
            ..Default::default()
        };
        self.link.encode(&mut request).await?;
        self.link.connection.call(request).await?;
        Ok(())
    }
}

pub(super) fn query_result(answer: Result<raw::Payload, QueryError>) -> WorkflowQueryResult {
    match answer {
        Ok(payload) => WorkflowQueryResult {
            result_type: QueryResultType::Answered as i32,
            answer: Some(raw::Payloads { payloads: vec![payload] }),
            ..Default::default()
        },
        Err(QueryError { failure }) => failed_answer(*failure),
    }
}
