//! The log of workflows and activities: each line has the ids of its workflow or activity, and replay does not repeat lines.

use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use tracing::span::{Attributes as SpanAttributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Span, Subscriber};

use crate::activity::ActivityInfo;
use crate::executor::{RunOptions, current};

/// The span around the code of an activity. A filter that keeps an event keeps spans of this level around it as well.
pub(super) fn of_activity(info: &ActivityInfo) -> Span {
    tracing::error_span!(
        "activity",
        namespace = info.namespace,
        workflow_id = info.workflow_id,
        run_id = info.run_id,
        workflow_type = info.workflow_type,
        activity_type = info.activity_type,
        activity_id = info.activity_id,
        attempt = info.attempt,
    )
}

/// The span around the code of a workflow, whose history begins with these events.
pub(super) fn of_workflow(workflow_type: &str, options: &RunOptions, history: &[HistoryEvent]) -> Span {
    let attempt = history.first().and_then(|event| match &event.attributes {
        Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => Some(started.attempt),
        _ => None,
    });
    tracing::error_span!(
        "workflow",
        namespace = options.namespace,
        workflow_id = options.workflow_id,
        run_id = options.run_id,
        workflow_type,
        attempt = attempt.unwrap_or(1),
    )
}

/// The subscriber of the calling thread, silent while workflow code replays.
pub(super) fn silent_on_replay() -> Dispatch {
    Dispatch::new(SilentOnReplay(tracing::dispatcher::get_default(Dispatch::clone)))
}

struct SilentOnReplay(Dispatch);

impl Subscriber for SilentOnReplay {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The interest depends on whether the current task replays.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !current::is_replaying() && self.0.enabled(metadata)
    }

    fn new_span(&self, span: &SpanAttributes<'_>) -> Id {
        self.0.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.0.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.0.record_follows_from(span, follows);
    }

    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
    }

    fn enter(&self, span: &Id) {
        self.0.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.0.exit(span);
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.0.clone_span(span)
    }

    fn try_close(&self, span: Id) -> bool {
        self.0.try_close(span)
    }
}
