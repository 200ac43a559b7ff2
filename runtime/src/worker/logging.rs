//! What workflow code logs is dropped while it replays: it was logged when it happened.

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};

use crate::executor::current;
pub(super) use crate::notice::say_unless_heard;

/// The subscriber of the calling thread, silent while workflow code replays.
pub(super) fn silent_on_replay() -> Dispatch {
    Dispatch::new(SilentOnReplay(tracing::dispatcher::get_default(Dispatch::clone)))
}

struct SilentOnReplay(Dispatch);

impl Subscriber for SilentOnReplay {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Whether anyone is interested changes with every task.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !current::is_replaying() && self.0.enabled(metadata)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
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
