//! Warnings for programs without a `tracing` subscriber.

use std::io::{Write, stderr};

use tracing::subscriber::NoSubscriber;

/// Prints a warning to standard error if no subscriber receives it, so that a program never waits silently.
pub(crate) fn print_unless_heard(warning: impl FnOnce() -> String) {
    if tracing::dispatcher::get_default(|subscriber| subscriber.is::<NoSubscriber>()) {
        // Unlike `eprintln!`, this does not panic when standard error is closed.
        let _ = writeln!(stderr(), "everloop: {}", warning());
    }
}
