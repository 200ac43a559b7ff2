//! Errors of connecting.

use super::rpc::RpcError;

/// The reason why a client did not connect.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The address is not valid.
    #[error("the address `{address}` cannot be used: {reason}")]
    Address {
        /// The address.
        address: String,
        /// The problem, and the accepted form.
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
    /// Only one side uses TLS, or one side does not trust the other.
    #[error("no connection with {address}: {cause}; {advice}")]
    Tls {
        /// The server's address.
        address: String,
        /// The error.
        cause: String,
        /// The advice.
        advice: String,
    },
    /// The server rejected the connection.
    #[error("the server at {address} refused the connection: {cause}")]
    Refused {
        /// The server's address.
        address: String,
        /// The server's error.
        cause: RpcError,
    },
    /// A variable of the environment is invalid.
    #[error("the environment variable {variable} {reason}")]
    Environment {
        /// The variable's name.
        variable: &'static str,
        /// The problem.
        reason: String,
    },
    /// The profile that the environment names is invalid.
    #[error("the profile file {file}: {reason}")]
    Profile {
        /// The path of the file.
        file: String,
        /// The problem.
        reason: String,
    },
    /// A header for all calls is invalid.
    #[error("`{name}` cannot be sent as a header: {reason}")]
    Metadata {
        /// The header's name.
        name: String,
        /// The problem.
        reason: String,
    },
    /// An option of the builder has an invalid value.
    #[error("`{option}`: {reason}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// The problem with its value, and the remedy.
        reason: String,
    },
    /// The engine in this process did not start.
    #[error("the embedded engine did not start: {0}")]
    Engine(String),
}

debug_as_display!(ConnectError);
