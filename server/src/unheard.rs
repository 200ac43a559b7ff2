//! Warnings for programs that do not listen to `tracing`.

use std::io::{Write, stderr};

use tracing::subscriber::NoSubscriber;

/// Prints a warning to standard error if no subscriber gets it, so that a program never waits without a word.
pub(crate) fn print_unless_heard(warning: impl FnOnce() -> String) {
    if tracing::dispatcher::get_default(|subscriber| subscriber.is::<NoSubscriber>()) {
        // Unlike `eprintln!`, this does not panic when nobody reads the standard error any more.
        let _ = writeln!(stderr(), "everloop: {}", warning());
    }
}
