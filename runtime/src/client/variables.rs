//! Reading the environment.

/// Reads one variable of the environment. What is empty counts as not set.
pub(super) type Variables<'a> = &'a dyn Fn(&'static str) -> Option<String>;
