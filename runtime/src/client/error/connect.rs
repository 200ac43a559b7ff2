//! Errors of connecting.

use super::rpc::RpcError;

/// The reason why a client did not connect.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not valid.
    #[error("the address `{address}` cannot be used: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// The problem, and the form that is accepted.
        reason: String,
    },
    /// No server responds there. Start the server, or correct the address.
    #[error("no server answers at {address}: {cause}; is it running, and is the address right?")]
    Unreachable {
        /// The address that was tried.
        address: String,
        /// The error of the network.
        cause: String,
    },
    /// One side wants TLS and the other one does not, or one of them does not trust the other.
    #[error("no connection with {address}: {cause}; {advice}")]
    Tls {
        /// The server's address.
        address: String,
        /// The error.
        cause: String,
        /// The advice.
        advice: String,
    },
    /// The server refused the connection.
    #[error("the server at {address} refused the connection: {cause}")]
    Refused {
        /// Its address or path.
        address: String,
        /// Its error.
        cause: RpcError,
    },
    /// A variable of the environment cannot be used.
    #[error("the environment variable {variable} {reason}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// The problem with it.
        reason: String,
    },
    /// The profile that the environment names cannot be used.
    #[error("the profile file {file}: {reason}")]
    Profile {
        /// Its address or path.
        file: String,
        /// The problem with it.
        reason: String,
    },
    /// A header that is to go with each call cannot be sent.
    #[error("`{name}` cannot be sent as a header: {reason}")]
    Metadata {
        /// The header's name.
        name: String,
        /// The problem with it.
        reason: String,
    },
    /// An option of the builder cannot be followed.
    #[error("`{option}`: {reason}")]
    InvalidOption {
        /// As it is written.
        option: &'static str,
        /// The problem with its value, and the remedy.
        reason: String,
    },
    /// The engine in this process did not start.
    #[error("the embedded engine did not start: {0}")]
    Engine(String),
}

debug_as_display!(ConnectError);
