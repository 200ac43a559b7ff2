//! Where workflows are looked for.

use std::fmt;
use std::path::PathBuf;

use super::address::Address;

/// Where the workflows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Server(Address),
    /// A database, which is only read.
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
