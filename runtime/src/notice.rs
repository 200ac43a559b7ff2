//! Warnings for programs without a `tracing` subscriber.

use std::io::{Write, stderr};

use tracing::subscriber::NoSubscriber;

/// Writes a warning to the standard error if the program has no `tracing` subscriber: otherwise it would wait for ever silently.
pub(crate) fn say_unless_heard(what: impl FnOnce() -> String) {
    if tracing::dispatcher::get_default(|listener| listener.is::<NoSubscriber>()) {
        // Unlike `eprintln!`, this does not panic when nobody reads the standard error any more.
        let _ = writeln!(stderr(), "everloop: {} (`tracing_subscriber::fmt::init()` shows everything)", what());
    }
}
