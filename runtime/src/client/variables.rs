//! Access to environment variables.

/// Reads one environment variable. An empty one counts as not set.
pub(super) type Variables<'a> = &'a dyn Fn(&'static str) -> Option<String>;
