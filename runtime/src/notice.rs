//! Warnings for programs without a `tracing` subscriber.

use std::io::{Write, stderr};

use tracing::subscriber::NoSubscriber;

/// Writes a warning to the standard error if the program has no `tracing` subscriber, so that it does not wait silently.
pub(crate) fn say_unless_heard(what: impl FnOnce() -> String) {
    if tracing::dispatcher::get_default(|listener| listener.is::<NoSubscriber>()) {
        // Unlike `eprintln!`, `writeln!` does not panic if the standard error is closed.
        let _ = writeln!(stderr(), "everloop: {} (`tracing_subscriber::fmt::init()` shows everything)", what());
    }
}
