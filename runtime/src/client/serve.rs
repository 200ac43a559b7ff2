//! Serving the engine in this process to others.

use std::fmt;
use std::future::IntoFuture;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::client::Client;
use crate::embedded::{ListenError, Listening};
use crate::tasks::SendFuture;

impl Client {
    /// Serves this client's engine at an address, for as long as the [`Serving`] is kept: the program `everloop`, workers
    /// and clients of other processes and languages come in there, while this process goes on using it directly.
    ///
    /// The address is `127.0.0.1:7233`, say, or `localhost:7233`; port 0 takes a free one. There is neither encryption nor
    /// a key, so only addresses of this machine's own are served, unless [`ServeCall::insecure`] allows others.
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
    /// Awaited, it fails when the client is connected to a server, when the address cannot be used or is taken, and when it
    /// can be reached by other machines.
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
    /// Also serves addresses that other machines can reach. Whoever reaches one may do anything with the engine: there is
    /// neither encryption nor a key.
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

/// A served engine. Dropping it ends the serving: no call is accepted any more, and calls that wait for something end. An
/// engine is kept open by what is served, as by a client.
#[must_use = "serving ends when it is dropped"]
pub struct Serving {
    listening: Listening,
}

impl Serving {
    /// The address that the engine is served on; with the assigned port, if that was 0.
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Ends the serving and waits for the calls under way, three seconds at most.
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
    /// The client is connected to a server, which others can reach themselves.
    #[error(
        "this client is connected to a server: only an engine of this process, `memory:` or `sqlite:PATH`, can be served"
    )]
    NotEmbedded,
    /// The address is none.
    #[error("cannot serve at `{address}`: write IP:PORT, `127.0.0.1:7233` say")]
    Address {
        /// As it was given.
        address: String,
    },
    /// Other machines could reach it, and nothing would keep them out.
    #[error(
        "other machines can reach {address}, and there is neither encryption nor a key: serve at 127.0.0.1, or allow it \
         with `.insecure()`"
    )]
    NotLoopback {
        /// As it was given.
        address: SocketAddr,
    },
    /// Another program listens there, or this one already does.
    #[error("cannot serve at {address}: it is in use; choose another port, or 0 for a free one")]
    InUse {
        /// As it was given.
        address: SocketAddr,
    },
    /// The system or the engine refuses.
    #[error("cannot serve at {address}: {reason}")]
    Refused {
        /// As it was given.
        address: SocketAddr,
        /// The error of the system or the engine.
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
