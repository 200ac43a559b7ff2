//! Serves the engine in this process to other processes.

use std::fmt;
use std::future::IntoFuture;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::client::Client;
use crate::embedded::{ListenError, Listening};
use crate::tasks::SendFuture;

impl Client {
    /// Serves this client's engine at an address until the [`Serving`] is dropped. The program `everloop`, and workers and
    /// clients of other processes and languages, can connect to that address. This process continues to use the engine
    /// directly.
    ///
    /// The address is for example `127.0.0.1:7233` or `localhost:7233`; port 0 selects a free port. There is neither
    /// encryption nor a key, so only loopback addresses are accepted, unless [`ServeCall::insecure`] allows others.
    ///
    /// ```no_run
    /// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    /// use everloop::Client;
    ///
    /// let client = Client::connect("sqlite:shop.db").await?;
    /// let serving = client.serve("127.0.0.1:7233").await?;
    /// println!("everloop workflow list --address {}", serving.address());
    /// // … run workers, wait for ctrl-c …
    /// serving.stop().await;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the client is connected to a server, if the address is invalid or in use, and if other machines can reach it.
    pub fn serve(&self, address: impl Into<String>) -> ServeCall {
        ServeCall { client: self.clone(), address: address.into(), is_insecure: false }
    }
}

/// Serves an engine once it is awaited. See [`Client::serve`].
#[must_use = "nothing is served unless it is awaited"]
pub struct ServeCall {
    client: Client,
    address: String,
    is_insecure: bool,
}

impl ServeCall {
    /// Allows addresses that other machines can reach. Every program that reaches such an address has full access to the
    /// engine: there is neither encryption nor a key.
    pub fn insecure(mut self) -> Self {
        self.is_insecure = true;
        self
    }

    async fn serve(self) -> Result<Serving, ServeError> {
        let engine = self.client.inner.engine_clock.as_ref().ok_or(ServeError::NotEmbedded)?;
        let address = parse(&self.address)?;
        let listening =
            engine.serve(address, self.is_insecure).await.map_err(|error| ServeError::of(address, &error))?;
        Ok(Serving { listening })
    }
}

impl IntoFuture for ServeCall {
    type Output = Result<Serving, ServeError>;
    type IntoFuture = SendFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.serve())
    }
}

/// A served engine. Dropping this value ends the service: new calls are rejected, and waiting calls end. The value keeps the
/// engine open, as a client does.
#[must_use = "serving ends when it is dropped"]
pub struct Serving {
    listening: Listening,
}

impl Serving {
    /// The address of the service, with the assigned port if that was 0.
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Ends the service and waits for calls in progress, three seconds at most.
    pub async fn stop(self) {
        self.listening.stop().await;
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("address", &self.address()).finish()
    }
}

/// The reason why an engine is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The client is connected to a server, to which others can connect directly.
    #[error(
        "this client is connected to a server: only an engine of this process, `memory:` or `sqlite:PATH`, can be served"
    )]
    NotEmbedded,
    /// The address is invalid.
    #[error("cannot serve at `{address}`: write IP:PORT, `127.0.0.1:7233` say")]
    Address {
        /// The address.
        address: String,
    },
    /// Other machines could reach the address, which has no access control.
    #[error(
        "other machines can reach {address}, and there is neither encryption nor a key: serve at 127.0.0.1, or allow it \
         with `.insecure()`"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// This program or another one listens at the address already.
    #[error("cannot serve at {address}: it is in use; choose another port, or 0 for a free one")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The operating system or the engine returned an error.
    #[error("cannot serve at {address}: {reason}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system or the engine.
        reason: String,
    },
}

impl ServeError {
    fn of(address: SocketAddr, error: &ListenError) -> Self {
        match error {
            ListenError::NotLoopback { .. } => Self::NotLoopback { address },
            ListenError::InUse { .. } => Self::InUse { address },
            ListenError::Bind { source, .. } => Self::Refused { address, reason: source.to_string() },
            error => Self::Refused { address, reason: error.to_string() },
        }
    }
}

fn parse(text: &str) -> Result<SocketAddr, ServeError> {
    let plain = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let localhost = || {
        let port = plain.strip_prefix("localhost:")?.parse().ok()?;
        Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    };
    let address = plain.parse().ok().or_else(localhost);
    address.ok_or_else(|| ServeError::Address { address: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_serve_at_are_ips_with_a_port_or_localhost() {
        let parsed = |text: &str| parse(text).map(|address| address.to_string()).map_err(|error| error.to_string());
        assert_eq!(parsed("127.0.0.1:7233"), Ok("127.0.0.1:7233".to_owned()));
        assert_eq!(parsed("http://[::1]:0/"), Ok("[::1]:0".to_owned()));
        assert_eq!(parsed("localhost:7233"), Ok("127.0.0.1:7233".to_owned()));
        for text in ["7233", "localhost", "shop.example:7233", "127.0.0.1:99999", "sqlite:shop.db", ""] {
            let refusal = parsed(text).unwrap_err();
            assert_eq!(refusal, format!("cannot serve at `{text}`: write IP:PORT, `127.0.0.1:7233` say"));
        }
    }
}
