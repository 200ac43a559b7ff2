//! Warnings for programs that do not listen to `tracing`.

use tracing::subscriber::NoSubscriber;

/// Prints a warning to standard error if no subscriber gets it, so that a program never waits without a word.
pub(crate) fn print_unless_heard(warning: impl FnOnce() -> String) {
    if tracing::dispatcher::get_default(|subscriber| subscriber.is::<NoSubscriber>()) {
        eprintln!("everloop: {}", warning());
    }
}
