//! Lines of workflow code, for messages.

use std::fmt;
use std::panic::Location;

/// The line of user code that issued a command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CallSite(Option<&'static Location<'static>>);

impl CallSite {
    /// No line of user code, as for the return of `run` or the acceptance of an update.
    pub(super) const NONE: Self = Self(None);
}

impl From<&'static Location<'static>> for CallSite {
    fn from(location: &'static Location<'static>) -> Self {
        Self(Some(location))
    }
}

impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(location) => write!(f, "{}:{}", location.file(), location.line()),
            None => f.write_str("the end of `run` or of a handler"),
        }
    }
}
