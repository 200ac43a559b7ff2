//! The error of operations that a cancellation reached.

use std::fmt;

/// The workflow, or the part of it that waited, was asked to cancel.
///
/// `?` ends the workflow as cancelled; catching it allows clean-up, since operations started afterwards work as always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}
