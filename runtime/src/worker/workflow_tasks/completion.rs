//! Completions of workflow tasks.

use std::time::Duration;

use everloop_proto::temporal::api::command::v1::command::Attributes;
use everloop_proto::temporal::api::enums::v1::TaskQueueKind;
use everloop_proto::temporal::api::sdk::v1::WorkflowTaskCompletedMetadata;
use everloop_proto::temporal::api::taskqueue::v1::StickyExecutionAttributes;
use everloop_proto::temporal::api::workflowservice::v1 as wire;

use super::identity::TaskIdentity;
use super::query::query_result;
use crate::executor::{Completion, SDK_NAME, flags_for_others};
use crate::notice::say_unless_heard;
use crate::raw;
use crate::worker::activity_tasks::EagerSlots;
use crate::worker::jobs::{IdlePeriod, QueryAnswers, Undo};
use crate::worker::link::Owner;
use crate::worker::send_error::SendError;
use crate::worker::shell::Shell;

/// The time for which a task stays on the sticky queue before the server offers it to all workers. It is shorter than the
/// deadline of calls, so that another worker can answer a query in time.
const STICKY_SCHEDULE_TO_START: Duration = Duration::from_secs(5);

impl Shell {
    /// Completes a task. Returns the next task of the run, if the server's response has one.
    pub(super) async fn complete(
        &self,
        identity: &TaskIdentity,
        task_token: bytes::Bytes,
        completion: Completion,
        answers: QueryAnswers,
        idle_period: IdlePeriod,
    ) -> Result<Option<wire::PollWorkflowTaskQueueResponse>, SendError> {
        let Completion { mut commands, messages, rules, warnings, closes, goes_on } = completion;
        for warning in warnings {
            tracing::warn!(
                workflow_id = %identity.workflow_id, run_id = %identity.run_id,
                workflow_type = %identity.workflow_type, "{warning}"
            );
            say_unless_heard(|| format!("{} `{}`: {warning}", identity.workflow_type, identity.workflow_id));
        }
        let mut eager = EagerSlots::default();
        for command in &mut commands {
            if let Some(Attributes::ScheduleActivityTaskCommandAttributes(activity)) = &mut command.attributes {
                let ours = activity.task_queue.as_ref().is_some_and(|queue| queue.name == self.task_queue);
                let known = activity.activity_type.as_ref().is_some_and(|kind| self.activities.knows(&kind.name));
                if !(ours && self.activities.polls())
                    && let Some(queue) = &activity.task_queue
                {
                    self.link.client.watch_activity_queue(&queue.name);
                }
                activity.request_eager_execution = ours && known && self.activities.reserve_eager(&mut eager);
            }
        }
        let core_used_flags = flags_for_others(&commands);
        let says_something = !rules.is_empty() || !core_used_flags.is_empty();
        let sdk_metadata = (self.keeps_metadata && says_something).then(|| WorkflowTaskCompletedMetadata {
            core_used_flags,
            lang_used_flags: rules,
            sdk_name: SDK_NAME.to_owned(),
            sdk_version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        // When the worker stops, it no longer polls its sticky queue.
        let sticky_queue = self.sticky_queue.as_ref().filter(|_| !self.stop_polling.begin.is_cancelled());
        let sticky_attributes = sticky_queue.map(|name| StickyExecutionAttributes {
            worker_task_queue: Some(raw::TaskQueue {
                name: name.clone(),
                kind: TaskQueueKind::Sticky as i32,
                normal_name: self.task_queue.clone(),
            }),
            schedule_to_start_timeout: STICKY_SCHEDULE_TO_START.try_into().ok(),
        });
        let request = wire::RespondWorkflowTaskCompletedRequest {
            task_token,
            commands,
            messages,
            identity: self.link.identity.clone(),
            namespace: self.link.namespace.clone(),
            sticky_attributes,
            // Local activities run on in the next task, unless the worker stops: then another worker begins them anew.
            force_create_new_workflow_task: goes_on,
            return_new_workflow_task: !(goes_on && self.activities.cancel_all.is_cancelled()),
            sdk_metadata,
            query_results: answers.into_iter().map(|(id, answer)| (id, query_result(answer))).collect(),
            capabilities: Some(wire::respond_workflow_task_completed_request::Capabilities {
                discard_speculative_workflow_task_with_events: true,
            }),
            ..Default::default()
        };
        let mut reply = self.link.send(Owner::Workflow(&identity.workflow_id), request).await?;
        if closes && let Some(observer) = &self.observer {
            observer.run_closed(&identity.workflow_id, &identity.run_id);
        }
        if reply.reset_history_event_id != 0 {
            let last_started_event_id = reply.reset_history_event_id;
            self.undo(&identity.run_id, idle_period, Undo::Discard { last_started_event_id });
        }
        self.run_eagerly(std::mem::take(&mut reply.activity_tasks), eager);
        Ok(reply.workflow_task.filter(|task| !task.task_token.is_empty()))
    }

    fn run_eagerly(&self, tasks: Vec<wire::PollActivityTaskQueueResponse>, mut eager: EagerSlots) {
        for task in tasks {
            self.activities.start(task, eager.slot());
        }
    }
}
