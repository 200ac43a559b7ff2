//! Warnings that workers and clients log.

use std::{
    fmt::{Debug, Write},
    sync::{Mutex, Once, PoisonError},
    time::Duration,
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// All warnings of this process, each with its fields.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Records warnings from now on.
pub(super) fn keep() {
    static KEEP: Once = Once::new();
    KEEP.call_once(|| {
        tracing::subscriber::set_global_default(Keeper).expect("no other subscriber is set in these tests")
    });
}

/// Waits for a warning that contains this text, and returns it.
pub(super) async fn about(name: &str, words: &str) -> String {
    loop {
        let found = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner).iter().find_map(|warning| {
            let is_it = warning.contains(name) && warning.contains(words);
            is_it.then(|| warning.clone())
        });
        if let Some(warning) = found {
            return warning;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct Keeper;

impl Subscriber for Keeper {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().starts_with("everloop")
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        WARNINGS.lock().unwrap_or_else(PoisonError::into_inner).push(text.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Appends `name=value` pairs; the message is one of them.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).expect("a string takes everything");
    }
}
