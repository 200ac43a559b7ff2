//! The error of cancelled operations.

use std::fmt;

/// The cancellation of the workflow, or of the scope that waited.
///
/// `?` ends the workflow as cancelled. A workflow that catches the error can clean up: operations that start afterwards are
/// not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}
