//! Addresses of servers, as users write them.

use std::fmt;
use std::str::FromStr;

/// `HOST:PORT` of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(String);

/// The error for a text that is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// The address of an in-process engine, as its client writes it.
    #[error(
        "`{address}` is an engine inside one program: --db-filename FILE shows what its file has, and with \
         `client.serve(\"HOST:PORT\")` in that program, --address HOST:PORT reaches it"
    )]
    Embedded { address: String },
    #[error("`{address}` asks for TLS, which this version does not support; write HOST:PORT")]
    Encrypted { address: String },
    #[error("the port of `{address}` is missing; write HOST:PORT")]
    NoPort { address: String },
    #[error("`{address}` is no address; write HOST:PORT")]
    Other { address: String },
}

impl Address {
    /// The address as a URI, for the transport.
    pub(crate) fn uri(&self) -> String {
        format!("http://{}", self.0)
    }
}

impl Default for Address {
    /// The default address of `everloop server start-dev`.
    fn default() -> Self {
        Self("127.0.0.1:7233".to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address = text.to_owned();
        if text.starts_with("memory:") || text.starts_with("sqlite:") {
            return Err(AddressError::Embedded { address });
        }
        if text.starts_with("https:") {
            return Err(AddressError::Encrypted { address });
        }
        let server = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        if server.is_empty() || server.contains(['/', ' ', '@', '?', '#']) {
            return Err(AddressError::Other { address });
        }
        match server.rsplit_once(':') {
            None => Err(AddressError::NoPort { address }),
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(Self(server.to_owned())),
            Some(_) => Err(AddressError::Other { address }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_in_common_forms() {
        for (text, address) in
            [("localhost:7233", "localhost:7233"), ("http://10.0.0.1:80/", "10.0.0.1:80"), ("[::1]:7233", "[::1]:7233")]
        {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), address);
        }
        assert_eq!(Address::default(), "127.0.0.1:7233".parse().unwrap());
    }

    #[test]
    fn the_error_for_an_invalid_address_shows_the_valid_form() {
        for (text, reason) in [
            ("memory:", "inside one program"),
            ("sqlite:shop.db", "inside one program"),
            ("https://shop:7233", "asks for TLS"),
            ("localhost", "port of `localhost` is missing"),
            ("localhost:http", "no address"),
            (":7233", "no address"),
            ("ftp://shop:1", "no address"),
            ("", "no address"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("HOST:PORT"), "{text}: {error}");
        }
    }
}
