//! The place where a command reads workflows.

use std::fmt;
use std::path::PathBuf;

use super::address::Address;

/// A server or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Server(Address),
    /// A database, opened for reading only.
    File(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(address) => address.fmt(f),
            Self::File(file) => file.display().fmt(f),
        }
    }
}
