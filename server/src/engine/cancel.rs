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
    /// The workflow that requests it, if a workflow does.
    pub(crate) source: Option<ExternalSource>,
}

/// A workflow that requests something of another one.
#[derive(Clone, Debug)]
pub(crate) struct ExternalSource {
    pub(crate) execution: WorkflowExecution,
    /// The event of that workflow; 0 if no event of its own asked for it.
    pub(crate) initiated_event_id: EventId,
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
        let initiated_event_id = request.source.as_ref().map_or(0, |source| source.initiated_event_id);
        self.append_event(HistoryEvent {
            links: request.links,
            ..event(
                now,
                WorkflowExecutionCancelRequestedEventAttributes {
                    cause: request.reason,
                    identity: request.identity,
                    external_initiated_event_id: initiated_event_id,
                    external_workflow_execution: request.source.map(|source| source.execution),
                },
            )
        });
        self.ensure_workflow_task(now);
    }
}
