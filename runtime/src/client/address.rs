//! The addresses that a client connects to.

use std::fmt;
use std::path::PathBuf;

use super::error::ConnectError;

/// A parsed address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// An engine of its own in this process.
    Memory { skipping_clock: bool },
    /// The engine of an SQLite file, in this process.
    Sqlite { path: PathBuf, skipping_clock: bool },
    /// A server as `HOST:PORT`, and whether the address requests TLS.
    Server { authority: String, tls: Option<bool> },
}

/// The accepted forms of an address, for error messages.
const FORMS: &str = "write `memory:`, `sqlite:PATH`, either with `?clock=skipping`, `http://HOST:PORT`, \
                     `https://HOST:PORT` or `HOST:PORT`";

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, ConnectError> {
        let fail = |reason: String| ConnectError::Address { address: text.to_owned(), reason };
        if let Some(options) = text.strip_prefix("memory:") {
            return match is_skipping(options) {
                Some(skipping_clock) => Ok(Self::Memory { skipping_clock }),
                None => Err(fail(format!("`{options}` is not known after `memory:`; {FORMS}"))),
            };
        }
        if let Some(rest) = text.strip_prefix("sqlite:") {
            let (path, options) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
            if let Some(meant) = other_spelling(path) {
                return Err(fail(format!("write `{meant}`")));
            }
            if path.is_empty() {
                return Err(fail(format!("the file's path is missing after `sqlite:`; {FORMS}")));
            }
            return match is_skipping(options) {
                Some(skipping_clock) => Ok(Self::Sqlite { path: path.into(), skipping_clock }),
                None => Err(fail(format!("`{options}` is not known after `sqlite:PATH`; {FORMS}"))),
            };
        }
        let (server, tls) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(server), _) => (server, Some(false)),
            (_, Some(server)) => (server, Some(true)),
            (None, None) => (text, None),
        };
        if let Some(meant) = meant(text) {
            return Err(fail(format!("write `{meant}`")));
        }
        let server = server.trim_end_matches('/');
        let port = server.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
        match port {
            Some((host, Ok(_))) if !host.is_empty() && !host.contains('/') => {
                Ok(Self::Server { authority: server.to_owned(), tls })
            }
            Some((_, Err(_))) if !server.contains("://") => Err(fail(format!("the port is not a number; {FORMS}"))),
            None if !server.is_empty() && !server.contains('/') => Err(fail(format!("the port is missing; {FORMS}"))),
            _ => Err(fail(FORMS.to_owned())),
        }
    }
}

/// The correct form of a misspelled address of an engine in this process.
fn meant(text: &str) -> Option<String> {
    let is_file = [".db", ".sqlite", ".sqlite3"].iter().any(|ending| text.ends_with(ending));
    if let Some(path) = text.strip_prefix("file:") {
        return other_spelling(path).or_else(|| Some(format!("sqlite:{path}")));
    }
    match text {
        "memory" | ":memory:" => Some("memory:".to_owned()),
        "sqlite" => Some("sqlite:PATH".to_owned()),
        path if is_file && !path.contains(':') => Some(format!("sqlite:{path}")),
        _ => misspelt(text),
    }
}

/// The address with the most similar scheme, if its own is unknown and similar to one.
fn misspelt(text: &str) -> Option<String> {
    /// Schemes of other programs, and their forms here.
    const OTHERS: [(&str, &str); 4] =
        [("grpc", "http"), ("temporal", "http"), ("sqlite3", "sqlite"), ("mem", "memory")];
    let (scheme, rest) = text.split_once(':')?;
    // A `HOST:PORT`.
    if rest.trim_end_matches('/').parse::<u16>().is_ok() {
        return None;
    }
    let lower = scheme.to_ascii_lowercase();
    let known = ["memory", "sqlite", "https", "http"];
    let other = OTHERS.iter().find(|(other, _)| *other == lower).map(|(_, known)| *known);
    // `HTTP://`, or `http:/`.
    let spelt = known.into_iter().find(|known| lower == *known);
    let nearly = || known.into_iter().find(|known| spelt.is_none() && is_nearly(&lower, known));
    let differs = spelt.filter(|known| scheme != *known || known.starts_with("http") && !rest.starts_with("//"));
    match other.or(differs).or_else(nearly)? {
        scheme @ ("http" | "https") => Some(format!("{scheme}://{}", rest.trim_start_matches('/'))),
        scheme => Some(format!("{scheme}:{}", rest.strip_prefix("//").unwrap_or(rest))),
    }
}

/// Whether two texts differ by two swapped neighbours, or by one missing, wrong or additional letter.
fn is_nearly(text: &str, known: &str) -> bool {
    let (a, b) = (text.as_bytes(), known.as_bytes());
    let same_start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same_start..], &b[same_start..]);
    match (a, b) {
        ([_, a @ ..], b) if a == b => true,
        (a, [_, b @ ..]) if a == b => true,
        ([_, a @ ..], [_, b @ ..]) if a == b => true,
        ([first, second, a @ ..], [third, fourth, b @ ..]) => (first, second, a) == (fourth, third, b),
        _ => false,
    }
}

/// The correct form of a path in the notation of SQLite or of other database crates, which would name another file here.
fn other_spelling(path: &str) -> Option<String> {
    let inner = path.strip_prefix("file:").unwrap_or(path);
    let inner = inner.strip_prefix("//localhost").or_else(|| inner.strip_prefix("//")).unwrap_or(inner);
    match inner {
        ":memory:" => Some("memory:".to_owned()),
        inner if inner.len() == path.len() => None,
        "" => Some("sqlite:PATH".to_owned()),
        inner => Some(format!("sqlite:{inner}")),
    }
}

/// Reads the clock from the options of an engine in this process; `None` if there are other options.
fn is_skipping(options: &str) -> Option<bool> {
    match options {
        "" | "?clock=real" => Some(false),
        "?clock=skipping" => Some(true),
        _ => None,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { skipping_clock: false } => f.write_str("memory:"),
            Self::Memory { skipping_clock: true } => f.write_str("memory:?clock=skipping"),
            Self::Sqlite { path, skipping_clock: false } => write!(f, "sqlite:{}", path.display()),
            Self::Sqlite { path, skipping_clock: true } => write!(f, "sqlite:{}?clock=skipping", path.display()),
            Self::Server { authority, tls: Some(true) } => write!(f, "https://{authority}"),
            Self::Server { authority, tls: Some(false) | None } => write!(f, "http://{authority}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let server = |authority: &str, tls| Ok(Address::Server { authority: authority.to_owned(), tls });
        let parse = |text: &str| Address::parse(text).map_err(|error| error.to_string());
        assert_eq!(parse("memory:"), Ok(Address::Memory { skipping_clock: false }));
        assert_eq!(parse("memory:?clock=skipping"), Ok(Address::Memory { skipping_clock: true }));
        let sqlite = |path: &str, skipping_clock| Ok(Address::Sqlite { path: path.into(), skipping_clock });
        assert_eq!(parse("sqlite:shop.db"), sqlite("shop.db", false));
        assert_eq!(parse("sqlite:/var/shop.db?clock=skipping"), sqlite("/var/shop.db", true));
        assert_eq!(parse("localhost:7233"), server("localhost:7233", None));
        assert_eq!(parse("http://[::1]:7233/"), server("[::1]:7233", Some(false)));
        assert_eq!(parse("https://shop:7233"), server("shop:7233", Some(true)));
    }

    #[test]
    fn misspelt_addresses_are_refused_with_what_was_meant() {
        for (text, meant) in [
            ("memroy:", "memory:"),
            ("memry:?clock=skipping", "memory:?clock=skipping"),
            (":memory:", "memory:"),
            ("sqllite:shop.db", "sqlite:shop.db"),
            ("sqllite:///var/shop.db", "sqlite:/var/shop.db"),
            ("sqlite3:shop.db", "sqlite:shop.db"),
            ("SQLite:shop.db", "sqlite:shop.db"),
            ("htp://shop:7233", "http://shop:7233"),
            ("htpps://shop:7233", "https://shop:7233"),
            ("grpc://shop:7233", "http://shop:7233"),
            ("http:/shop:7233", "http://shop:7233"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("the address `{text}` cannot be used: write `{meant}`"));
        }
        // Host names are no schemes.
        for machine in ["memoy:7233", "htp:80", "grpc:7233"] {
            assert_eq!(Address::parse(machine).unwrap(), Address::Server { authority: machine.to_owned(), tls: None });
        }
    }

    #[test]
    fn invalid_addresses_are_rejected_with_a_correction() {
        for (text, reason) in [
            ("memory:?clock=fast", "`?clock=fast` is not known"),
            ("sqlite:", "path is missing"),
            ("sqlite:shop.db?mode=fast", "`?mode=fast` is not known"),
            ("https://localhost", "port is missing"),
            ("localhost", "port is missing"),
            ("localhost:http", "port is not a number"),
            ("ftp://a:1", "write `memory:`"),
            ("", "write `memory:`"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("HOST:PORT"), "{text}: {error}");
        }
        for (text, meant) in [
            ("memory", "`memory:`"),
            (":memory:", "`memory:`"),
            ("sqlite::memory:", "`memory:`"),
            ("sqlite://:memory:", "`memory:`"),
            ("sqlite:file::memory:?cache=shared", "`memory:`"),
            ("sqlite", "`sqlite:PATH`"),
            ("sqlite://", "`sqlite:PATH`"),
            ("data/shop.db", "`sqlite:data/shop.db`"),
            ("sqlite://shop.db", "`sqlite:shop.db`"),
            ("sqlite:///var/shop.db?mode=rwc", "`sqlite:/var/shop.db`"),
            ("sqlite:file:shop.db", "`sqlite:shop.db`"),
            ("file:///var/shop.db", "`sqlite:/var/shop.db`"),
            ("file:shop.db", "`sqlite:shop.db`"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.ends_with(&format!("write {meant}")), "{text}: {error}");
        }
    }
}
