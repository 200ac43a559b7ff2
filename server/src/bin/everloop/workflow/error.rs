//! Errors of commands, which describe the remedy.

use std::error::Error;
use std::io;

use tonic::{Code, Status};

use super::address::{Address, AddressError};
use super::place::Place;

/// The reason why a command fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// A variable has an unusable value.
    #[error("{variable} is set: {reason}")]
    Environment { variable: String, reason: String },
    #[error("TEMPORAL_ADDRESS: {0}")]
    Address(#[from] AddressError),
    /// No server of the protocol listens there.
    #[error(
        "cannot reach a server at {address}: {reason}; `everloop server start-dev` starts one on this machine, --address \
         or TEMPORAL_ADDRESS names another"
    )]
    Unreachable { address: Address, reason: String },
    #[error("{0}")]
    File(String),
    /// The target is a file, and the command needs a server.
    #[error("cannot {what}: {advice}")]
    ReadOnly { what: &'static str, advice: String },
    /// The server closed the connection, or does not speak the protocol.
    #[error("the call to {place} failed: {reason}; is a Temporal or Everloop server listening there?")]
    BrokenOff { place: Place, reason: String },
    #[error("{message}; asked in namespace `{namespace}` at {place}")]
    NotFound { message: String, namespace: String, place: Place },
    /// A worker failed the query, or no worker answered it.
    #[error("query `{name}` failed: {message}")]
    Query { name: String, message: String },
    /// The server rejected the call; the text is the server's.
    #[error("{message}")]
    Refused { message: String },
    /// The response lacks a field that the protocol requires.
    #[error("the response of the server at {place} lacks {missing}")]
    Incomplete { place: Place, missing: &'static str },
    #[error("cannot convert the response to JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// Converts the status of a call.
    pub(super) fn of_call(status: Status, namespace: &str, place: &Place) -> Self {
        let message = match status.message() {
            "" => format!("the server refuses: {:?}", status.code()),
            // The sentence continues here.
            message => message.trim_end_matches('.').to_owned(),
        };
        // Only errors on the client's side have a source.
        if let Some(cause) = status.source() {
            return Self::BrokenOff { place: place.clone(), reason: innermost(cause) };
        }
        match status.code() {
            Code::NotFound => Self::NotFound { message, namespace: namespace.to_owned(), place: place.clone() },
            _ => Self::Refused { message },
        }
    }
}

/// The innermost cause: the outer errors only say that something failed.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}
