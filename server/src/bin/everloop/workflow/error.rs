//! Why a command does not succeed, in words that say what to do.

use std::error::Error;
use std::io;

use tonic::{Code, Status};

use super::address::{Address, AddressError};
use super::place::Place;

/// Why a command does not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// A variable holds what cannot be used.
    #[error("{variable} is set: {reason}")]
    Environment { variable: String, reason: String },
    #[error("TEMPORAL_ADDRESS: {0}")]
    Address(#[from] AddressError),
    /// Nothing listens there, or nothing that is a server of the protocol.
    #[error(
        "cannot reach a server at {address}: {reason}; `everloop server start-dev` starts one on this machine, --address \
         or TEMPORAL_ADDRESS names another"
    )]
    Unreachable { address: Address, reason: String },
    #[error("{0}")]
    File(String),
    /// The place is a file, and this takes more.
    #[error("cannot {what}: {advice}")]
    ReadOnly { what: &'static str, advice: String },
    /// What listens there went away, or speaks something else.
    #[error("the call to {place} broke off: {reason}; is a server of workflows listening there?")]
    BrokenOff { place: Place, reason: String },
    #[error("{message}; asked in namespace `{namespace}` at {place}")]
    NotFound { message: String, namespace: String, place: Place },
    /// A worker answered that it cannot, or no worker could.
    #[error("query `{name}` failed: {message}")]
    Query { name: String, message: String },
    /// The server refuses, in its own words.
    #[error("{message}")]
    Refused { message: String },
    /// It answered with less than the protocol demands.
    #[error("the server at {place} answered without {missing}")]
    Incomplete { place: Place, missing: &'static str },
    #[error("cannot show the answer as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot write the answer")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// What a call came to.
    pub(super) fn of_call(status: Status, namespace: &str, place: &Place) -> Self {
        let message = match status.message() {
            "" => format!("the server refuses: {:?}", status.code()),
            // More follows it here.
            message => message.trim_end_matches('.').to_owned(),
        };
        // Only what broke on this side has a cause.
        if let Some(cause) = status.source() {
            return Self::BrokenOff { place: place.clone(), reason: innermost(cause) };
        }
        match status.code() {
            Code::NotFound => Self::NotFound { message, namespace: namespace.to_owned(), place: place.clone() },
            _ => Self::Refused { message },
        }
    }
}

/// What it comes down to: what is around it says that something failed, and this says why.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}
