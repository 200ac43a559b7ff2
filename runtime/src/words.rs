//! Errors whose `Debug` text is their `Display` text.

/// Makes the `Debug` text of errors their `Display` text: a `main` that returns an error prints it with `Debug`, and so does
/// `unwrap`.
macro_rules! debug_as_display {
    ($($error:ty),* $(,)?) => {$(
        impl std::fmt::Debug for $error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    )*};
}
