//! Where a client connects to.

use std::fmt;

use super::error::ConnectError;

/// An address as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// An engine of its own in this process.
    Memory { skipping_clock: bool },
    /// A server, as `http://HOST:PORT`.
    Server(String),
}

/// What an address may look like, for error messages.
const FORMS: &str = "write `memory:`, `memory:?clock=skipping`, `http://HOST:PORT` or `HOST:PORT`";

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, ConnectError> {
        let fail = |reason: String| ConnectError::Address { address: text.to_owned(), reason };
        if let Some(options) = text.strip_prefix("memory:") {
            return match options {
                "" | "?clock=real" => Ok(Self::Memory { skipping_clock: false }),
                "?clock=skipping" => Ok(Self::Memory { skipping_clock: true }),
                other => Err(fail(format!("`{other}` is not known after `memory:`; {FORMS}"))),
            };
        }
        if text.starts_with("sqlite:") {
            return Err(fail(format!("engines on a SQLite file are not supported in this version; {FORMS}")));
        }
        if text.starts_with("https:") {
            return Err(fail(format!("TLS is not supported in this version; {FORMS}")));
        }
        let server = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let port = server.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
        match port {
            Some((host, Ok(_))) if !host.is_empty() && !host.contains('/') => {
                Ok(Self::Server(format!("http://{server}")))
            }
            Some((_, Err(_))) if !server.contains("://") => Err(fail(format!("the port is not a number; {FORMS}"))),
            None if !server.is_empty() && !server.contains('/') => Err(fail(format!("the port is missing; {FORMS}"))),
            _ => Err(fail(FORMS.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { skipping_clock: false } => f.write_str("memory:"),
            Self::Memory { skipping_clock: true } => f.write_str("memory:?clock=skipping"),
            Self::Server(uri) => f.write_str(uri),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let server = |uri: &str| Ok(Address::Server(uri.to_owned()));
        let parse = |text: &str| Address::parse(text).map_err(|error| error.to_string());
        assert_eq!(parse("memory:"), Ok(Address::Memory { skipping_clock: false }));
        assert_eq!(parse("memory:?clock=skipping"), Ok(Address::Memory { skipping_clock: true }));
        assert_eq!(parse("localhost:7233"), server("http://localhost:7233"));
        assert_eq!(parse("http://[::1]:7233/"), server("http://[::1]:7233"));
    }

    #[test]
    fn what_cannot_be_reached_is_refused_with_what_to_write() {
        for (text, reason) in [
            ("memory:?clock=fast", "`?clock=fast` is not known"),
            ("sqlite:shop.db", "SQLite file are not supported"),
            ("https://a:1", "TLS is not supported"),
            ("localhost", "port is missing"),
            ("localhost:http", "port is not a number"),
            ("ftp://a:1", "write `memory:`"),
            ("", "write `memory:`"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("HOST:PORT"), "{text}: {error}");
        }
    }
}
