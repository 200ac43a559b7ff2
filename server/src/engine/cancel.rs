//! Requests to cancel a workflow.

use crate::api::common::{Link, Payloads, WorkflowExecution};
use crate::api::history::WorkflowExecutionCancelRequestedEventAttributes;
use crate::engine::event::{Attributes, EventId, HistoryEvent, Order, event};
use crate::engine::run::Run;
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::Time;

/// A validated request to cancel or terminate.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopRequest {
    pub(crate) reason: String,
    pub(crate) details: Option<Payloads>,
    pub(crate) identity: String,
    pub(crate) links: Vec<Link>,
}

/// The rules of cancel requests.
pub(super) struct CancelRules;

impl Subject for CancelRules {
    fn order(event: &Attributes) -> Option<Order> {
        matches!(event, Attributes::WorkflowExecutionCancelRequestedEventAttributes(_)).then_some(Order::Later)
    }

    fn apply(run: &mut Run, _: EventId, _: Time, event: &Attributes) -> Option<Applied> {
        let Attributes::WorkflowExecutionCancelRequestedEventAttributes(_) = event else { return None };
        run.state.cancel_requested = true;
        Some(Ok(()))
    }
}

impl Run {
    /// Requests cancellation. A second request changes nothing.
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
        self.ensure_workflow_task(now);
    }
}
