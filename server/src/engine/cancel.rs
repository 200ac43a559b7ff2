//! The request that a workflow ends itself.

use super::event::{HistoryEvent, event};
use super::run::Run;
use super::time::Time;
use crate::api::common::{Link, Payloads, WorkflowExecution};
use crate::api::history::WorkflowExecutionCancelRequestedEventAttributes;

/// A request to cancel or terminate, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopRequest {
    pub(crate) reason: String,
    pub(crate) details: Option<Payloads>,
    pub(crate) identity: String,
    pub(crate) links: Vec<Link>,
}

impl Run {
    /// Asks the workflow to end itself. Asking again changes nothing.
    pub(crate) fn request_cancel(&mut self, request: StopRequest, now: Time) {
        if !self.is_open() || self.state.cancel_requested {
            return;
        }
        self.append_event(HistoryEvent {
            links: request.links,
            ..event(
                now,
                WorkflowExecutionCancelRequestedEventAttributes {
                    cause: request.reason,
                    identity: request.identity,
                    external_workflow_execution: None::<WorkflowExecution>,
                    ..Default::default()
                },
            )
        });
        self.want_workflow_task(now);
    }
}
