//! Errors of connecting.

use super::rpc::RpcError;

/// Why there is no connection.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address says nothing that this version understands.
    #[error("the address `{address}` cannot be used: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// Nobody answers there. Start the server, or correct the address.
    #[error("no server answers at {address}: {cause}; is it running, and is the address right?")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What the network said.
        cause: String,
    },
    /// One side wants TLS and the other one does not, or one of them does not trust the other.
    #[error("no connection with {address}: {cause}; {advice}")]
    Tls {
        /// Where the server is.
        address: String,
        /// What went wrong.
        cause: String,
        /// What to do.
        advice: String,
    },
    /// The server answers, and refuses.
    #[error("the server at {address} refused the connection: {cause}")]
    Refused {
        /// Where it is.
        address: String,
        /// What it said.
        cause: RpcError,
    },
    /// A variable of the environment cannot be used.
    #[error("the environment variable {variable} {reason}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The profile that the environment asks for cannot be used.
    #[error("the profile file {file}: {reason}")]
    Profile {
        /// Where it is.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A header that is to go with each call cannot be sent.
    #[error("`{name}` cannot be sent as a header: {reason}")]
    Metadata {
        /// The header's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An option of the builder cannot be followed.
    #[error("`{option}`: {reason}")]
    InvalidOption {
        /// As it is written.
        option: &'static str,
        /// What is wrong with its value, and what to do.
        reason: String,
    },
    /// The engine in this process did not start.
    #[error("the embedded engine did not start: {0}")]
    Engine(String),
}

debug_as_display!(ConnectError);
