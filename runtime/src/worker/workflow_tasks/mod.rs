//! Workflow tasks, from poll to response.

mod completion;
mod execution;
mod failure;
mod identity;
mod poll;
mod query;

use std::sync::Arc;

use everloop_proto::temporal::api::workflowservice::v1 as wire;
use tokio::sync::OwnedSemaphorePermit;

use self::execution::TaskOutcome;
use self::identity::TaskIdentity;
pub(super) use self::poll::poll_workflow_tasks;
use super::jobs::Undo;
use super::local_activities::LocalActivities;
use super::shell::Shell;
use crate::data::Failure;
use crate::executor::QueryFailure;

impl Shell {
    /// Handles a task, and the tasks in the responses to it.
    async fn workflow_task(self: Arc<Self>, mut task: wire::PollWorkflowTaskQueueResponse, slot: OwnedSemaphorePermit) {
        let mut slot = Some(slot);
        // They may run on from one task to the next.
        let mut local = LocalActivities::new(self.activities.clone());
        loop {
            let identity = TaskIdentity::of(&task);
            let run_id = identity.run_id.clone();
            let token = task.task_token.clone();
            let is_query = task.query.is_some();
            let outcome = self.execute(task, &identity, &mut local).await;
            let sent = match outcome {
                TaskOutcome::Completed { completion, answers, idle_period } => {
                    let sent = self.complete(&identity, token.clone(), completion, answers, idle_period).await;
                    if sent.is_err() {
                        // The worker does not know whether the server has received the response; the next task will have the
                        // whole history.
                        self.undo(&run_id, idle_period, Undo::Evict);
                    }
                    match sent {
                        Err(error) if error.is_unsendable() => {
                            let failure = error.failure_of("the completion of the workflow task");
                            self.fail_task(&identity, token, error.cause(), failure, &mut slot).await.map(|()| None)
                        }
                        sent => sent.map(Some),
                    }
                }
                TaskOutcome::Queried(answers) => self.answer_query(&identity, token, answers).await.map(|()| None),
                TaskOutcome::Ended => {
                    let TaskIdentity { workflow_id, .. } = &identity;
                    tracing::debug!(workflow_id, %run_id, "the server ended a workflow task while it was under way");
                    Ok(None)
                }
                TaskOutcome::Failed { failure, .. } if is_query => {
                    self.warn_failed(&identity, &failure, false);
                    let error = QueryFailure { failure: failure.into() };
                    self.answer_query(&identity, token, vec![(String::new(), Err(error))]).await.map(|()| None)
                }
                TaskOutcome::Failed { cause, failure } => {
                    self.fail_task(&identity, token, cause, failure, &mut slot).await.map(|()| None)
                }
            };
            match sent {
                Ok(Some(Some(next))) => task = next,
                Ok(_) => return,
                Err(error) => {
                    let is_waited_for = error.report("a workflow task", &identity.workflow_id, &run_id);
                    if let Some(observer) = self.observer.as_ref().filter(|_| is_waited_for) {
                        // The server has rejected the response, or it cannot be sent. In both cases the workflow cannot continue.
                        let cause = Failure::application("WorkflowTaskRefused", error.to_string());
                        observer.task_failed(&identity.workflow_id, &run_id, &cause);
                    }
                    return;
                }
            }
        }
    }
}
