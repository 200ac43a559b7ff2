//! Queries that are attached to a workflow task, because the answer has to reflect the new events of the task.

pub(crate) mod state;

use crate::api::enums::QueryRejectCondition;
use crate::api::query::{WorkflowQuery, WorkflowQueryResult};
use crate::engine::effects::Notice;
use crate::engine::error::Refusal;
use crate::engine::run::Run;
use crate::limits::QUERIES_WAITING_MAX;
use crate::model::RunStatus;

/// How a query reaches a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryRoute {
    /// In a query task of its own.
    Direct,
    /// Attached to the pending workflow task, under this number.
    Riding(u64),
}

impl Run {
    /// Chooses how a query reaches a worker; an attached query is added to the waiting ones.
    pub(crate) fn route_query(&mut self, query: &WorkflowQuery) -> Result<QueryRoute, Refusal> {
        if self.worker_is_failing() {
            return Err(Refusal::NotReady("Unable to query workflow due to Workflow Task in failed state.".to_owned()));
        }
        if self.state.workflow_task.is_none() {
            if self.state.previous_started_event_id > 0 {
                return Ok(QueryRoute::Direct);
            }
            if self.state.first_task_due.is_none() {
                return Err(Refusal::NotReady(
                    "A workflow task has not been scheduled for this run, so it cannot be queried.".to_owned(),
                ));
            }
        }
        if self.queries.waiting.len() >= QUERIES_WAITING_MAX {
            return Err(Refusal::Busy(
                "consistent query buffer is full, cannot accept new consistent queries".to_owned(),
            ));
        }
        self.queries.next_id += 1;
        let id = self.queries.next_id;
        self.queries.waiting.insert(id, query.clone());
        Ok(QueryRoute::Riding(id))
    }

    /// Sends the query results of a completion to the waiting callers.
    pub(in crate::engine) fn answer_queries(
        &mut self,
        results: impl IntoIterator<Item = (String, WorkflowQueryResult)>,
    ) {
        for (id, result) in results {
            let Ok(id) = id.parse() else { continue };
            if self.queries.waiting.remove(&id).is_some() {
                self.notify(Notice::QueryAnswered { id, result: Box::new(result) });
            }
        }
    }

    /// Detaches the waiting queries, so that the service sends them as direct query tasks.
    pub(in crate::engine) fn release_queries(&mut self) {
        for id in std::mem::take(&mut self.queries.waiting).into_keys() {
            self.notify(Notice::QueryReleased { id });
        }
    }
}

/// Whether the caller's condition rejects a query of a run with this status.
pub(crate) fn rejects(condition: QueryRejectCondition, status: RunStatus) -> bool {
    match condition {
        QueryRejectCondition::Unspecified | QueryRejectCondition::None => false,
        QueryRejectCondition::NotOpen => status != RunStatus::Running,
        QueryRejectCondition::NotCompletedCleanly => !matches!(status, RunStatus::Running | RunStatus::Completed),
    }
}
