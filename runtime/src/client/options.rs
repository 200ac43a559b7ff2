//! The builder of clients.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::ffi::OsString;
use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::Duration;

use everloop_proto::temporal::api::workflowservice::v1::{
    GetSystemInfoRequest, get_system_info_response::Capabilities,
};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tonic::body::Body;
use tonic::metadata::MetadataMap;
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tower::Service;

use super::address::Address;
use super::client::{Client, ClientState};
use super::connection::{CALL, Connection, was_cut};
use super::error::{ConnectError, RpcCode, RpcError};
use super::failures::FailureBoard;
use super::interceptor::{ClientInterceptor, DynClientInterceptor};
use super::rpc::Server;
use super::tls::{self, TlsOptions};
use super::transport::{InProcess, Transport};
use crate::data::{HeaderCodec, PayloadCodec, PayloadCodecs};
#[cfg(feature = "embedded")]
use crate::embedded::EngineClock;
use crate::tasks::SendFuture;

/// The longest duration of an option, far below what the transport can express.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The time without data from the server after which the client sends a ping. Servers close connections with more than one
/// ping in ten seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

impl Client {
    /// Connects to `memory:` (a new engine in this process; with `memory:?clock=skipping`, its clock skips waiting),
    /// `sqlite:PATH`, `http://HOST:PORT` or `HOST:PORT`, or, with the feature `tls`, `https://HOST:PORT`. Reads no environment
    /// variables.
    pub async fn connect(address: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(address).connect().await
    }

    /// Connects as the standard environment variables specify (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`,
    /// `TEMPORAL_TLS_..`: see [`ClientBuilder::env`]). The default address is `address`.
    pub async fn from_env_or(address: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(address).env().connect().await
    }

    /// Returns a builder, to set namespace, identity, payload codec, headers and interceptors.
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(address)
    }
}

/// Builds a [`Client`] when it is awaited, or with [`connect`](Self::connect).
///
/// ```no_run
/// # async fn connect() -> Result<(), everloop::client::ConnectError> {
/// let client = everloop::Client::builder("http://temporal.internal:7233").namespace("shop").task_queue("purchases").await?;
/// # drop(client); Ok(()) }
/// ```
#[must_use = "nothing is connected until it is awaited"]
pub struct ClientBuilder {
    pub(super) address: String,
    pub(super) namespace: String,
    identity: Option<String>,
    task_queue: Option<String>,
    codecs: PayloadCodecs,
    interceptors: Vec<Arc<dyn DynClientInterceptor>>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) api_key: Option<String>,
    /// Whether an option or variable requests TLS or forbids it, and the name of that option.
    pub(super) wants_tls: Option<(bool, &'static str)>,
    pub(super) tls: TlsOptions,
    pub(super) refusal: Option<ConnectError>,
    timeout: Duration,
    keep_alive: Duration,
    service: Option<InProcess>,
    failures: Option<Arc<FailureBoard>>,
}

impl ClientBuilder {
    pub(super) fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            namespace: "default".to_owned(),
            identity: None,
            task_queue: None,
            codecs: PayloadCodecs::default(),
            interceptors: Vec::new(),
            metadata: Vec::new(),
            api_key: None,
            wants_tls: None,
            tls: Default::default(),
            refusal: None,
            timeout: CALL,
            keep_alive: KEEP_ALIVE,
            service: None,
            failures: None,
        }
    }

    /// Reads Temporal's standard environment variables. They override options that were set before, and are overridden by
    /// options that are set afterwards.
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `TEMPORAL_ADDRESS` | the address |
    /// | `TEMPORAL_NAMESPACE` | the namespace |
    /// | `TEMPORAL_API_KEY` | [`api_key`](Self::api_key) |
    /// | `TEMPORAL_TLS` | `true` or `false`: whether a `HOST:PORT` uses TLS; by default, it does if a key or another TLS variable is set |
    /// | `TEMPORAL_TLS_SERVER_CA_CERT_PATH`, `.._DATA` | a file, or its text: CA certificates that are trusted for the server |
    /// | `TEMPORAL_TLS_CLIENT_CERT_PATH`, `.._DATA` | the client's certificate |
    /// | `TEMPORAL_TLS_CLIENT_KEY_PATH`, `.._DATA` | the key of the client's certificate |
    /// | `TEMPORAL_TLS_SERVER_NAME` | the name in the server's certificate, if it is not the address's |
    /// | `TEMPORAL_GRPC_META_X_TEAM` and similar | [`rpc_metadata`](Self::rpc_metadata), here with the name `x-team` |
    /// | `TEMPORAL_PROFILE`, `TEMPORAL_CONFIG_FILE` | the name of a profile (`default`), and its file (by default `temporalio/temporal.toml` in the user's configuration folder); other variables override the profile |
    ///
    /// TLS needs the feature `tls`, profiles need `profile`. Connecting fails with an unsupported variable, such as
    /// `TEMPORAL_TLS_DISABLE_HOST_VERIFICATION`.
    pub fn env(self) -> Self {
        self.all_variables(std::env::vars_os())
    }

    fn all_variables(mut self, all: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut readable = HashMap::new();
        for (name, value) in all {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => {
                    readable.insert(name, value);
                }
                // If the variable were ignored, the client might connect to the wrong server.
                Err(_) if name.starts_with("TEMPORAL_") => {
                    let reason = format!("the value of {name} is not UTF-8 text; correct or unset it");
                    self.refusal.get_or_insert(ConnectError::InvalidOption { option: ".env()", reason });
                }
                Err(_) => {}
            }
        }
        let variable = |name: &str| readable.get(name).cloned();
        self.variables(variable).rpc_metadata_of(readable.iter().map(|(name, value)| (name.clone(), value.clone())))
    }

    /// Sets the namespace of all calls; by default `default`.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// Sets the name of this process in histories; by default `PID@HOST`.
    pub fn identity(mut self, name: impl Into<String>) -> Self {
        self.identity = Some(name.into());
        self
    }

    /// Sets the default task queue of starts.
    pub fn task_queue(mut self, name: impl Into<String>) -> Self {
        self.task_queue = Some(name.into());
        self
    }

    /// Adds a codec of payloads between conversion and the wire, here and in the workers of this client.
    ///
    /// With several, the first one added is next to the values, the last one next to the wire: add compression before encryption.
    pub fn payload_codec(mut self, codec: impl PayloadCodec) -> Self {
        self.codecs.codecs.push(Arc::new(codec));
        self
    }

    /// Whether headers pass through the payload codecs, too; they do not unless set.
    pub fn header_codec(mut self, headers: HeaderCodec) -> Self {
        self.codecs.headers = headers;
        self
    }

    /// Adds an interceptor around the calls of this client. The first one added is the outermost: it is called first, and sees the
    /// result last. Workers have [interceptors of their own](crate::worker::WorkerInterceptor).
    pub fn interceptor(mut self, interceptor: impl ClientInterceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Adds a header of the transport to every call, for proxies and gateways.
    pub fn rpc_metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((name.into(), value.into()));
        self
    }

    /// Sets the API key, which every call sends as a bearer token. An address `HOST:PORT` then means `https://`; to send a key
    /// without TLS, write `http://`.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Sets the time limit of a call with all its attempts; the default is ten seconds. A call fails with
    /// [`RpcCode::DeadlineExceeded`](crate::client::RpcCode) or the last error if the server was unreachable or silent for this
    /// time.
    ///
    /// The limit applies to connecting and to all calls that send or request something, such as a start, a signal or a
    /// description. Waiting has no limit: `result()` of a workflow, or of an accepted update, continues when the server is
    /// reachable again. To limit the wait, use `tokio::time::timeout`. Calls of workers have a limit of at least ten seconds.
    ///
    /// A limit of more than a day counts as a day. With zero, connecting fails.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = self.duration(".timeout(..)", limit);
        self
    }

    /// Sets the time without data from the server after which the client sends a ping; the default is 15 seconds. Without a
    /// response within a third of this time (five seconds), the connection is closed, its calls fail, and the next attempt
    /// opens a new one.
    ///
    /// Shorter intervals also keep a connection open behind a proxy that closes idle ones; servers may close connections with
    /// more than one ping in ten seconds. An engine in this process needs no pings. An interval of more than a day counts as a
    /// day. With zero, connecting fails.
    pub fn keep_alive_interval(mut self, interval: Duration) -> Self {
        self.keep_alive = self.duration(".keep_alive_interval(..)", interval);
        self
    }

    /// Clamps a duration to the limit of the transport, and records zero as an error.
    fn duration(&mut self, option: &'static str, duration: Duration) -> Duration {
        if duration.is_zero() {
            let reason = "no time at all lets no call succeed; give it some".to_owned();
            self.refusal.get_or_insert(ConnectError::InvalidOption { option, reason });
        }
        duration.min(LONGEST)
    }

    /// Sets the trusted certificates and the client's own, for `https://` addresses. An address `HOST:PORT` then means `https://`.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = options.or(self.tls);
        self.wants_tls = Some((true, "`.tls(..)`"));
        self
    }

    /// For measurements of this crate: sends every call to this service in this process, regardless of the address. Hidden,
    /// because its signature has types of tonic, unlike the rest of the interface.
    #[doc(hidden)]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        self.service = Some(Arc::new(move |request| Box::pin(service.clone().call(request))));
        self
    }

    /// For test environments: sets the board whose failures end calls at once.
    pub(crate) fn failures(mut self, failures: Arc<FailureBoard>) -> Self {
        self.failures = Some(failures);
        self
    }

    /// The address, with the TLS settings of options and variables.
    fn resolved_address(&self) -> Result<Address, ConnectError> {
        let fail = |reason: String| Err(ConnectError::Address { address: self.address.clone(), reason });
        match (Address::parse(&self.address)?, self.wants_tls) {
            (Address::Memory { .. } | Address::Sqlite { .. }, Some((true, by))) => fail(format!(
                "{by} asks for TLS, but there is no network to this engine; name a server, or take it away"
            )),
            (Address::Server { tls: Some(false), .. }, Some((true, by))) => {
                fail(format!("{by} asks for TLS, and `http://` is without; write `https://HOST:PORT`, or take it away"))
            }
            (Address::Server { tls: Some(true), .. }, Some((false, by))) => fail(format!(
                "{by} switches TLS off, and `https://` is with it; write `http://HOST:PORT`, or take it away"
            )),
            (Address::Server { authority, tls: None }, wants) => {
                let tls = wants.map_or(self.api_key.is_some(), |(wanted, _)| wanted);
                Ok(Address::Server { authority, tls: Some(tls) })
            }
            (address, _) => Ok(address),
        }
    }

    /// Connects, and reads the server's capabilities.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let address = self.resolved_address()?;
        let headers = headers(&self.namespace, self.metadata, self.api_key)?;
        #[cfg(feature = "embedded")]
        let mut engine_clock = None;
        let server = match (self.service, &address) {
            (Some(service), _) => Server::remote(Transport::InProcess(service)),
            #[cfg(feature = "embedded")]
            (None, Address::Memory { skipping_clock } | Address::Sqlite { skipping_clock, .. }) => {
                let path = match &address {
                    Address::Sqlite { path, .. } => Some(path.clone()),
                    _ => None,
                };
                let clock = EngineClock::start(path, *skipping_clock, &self.namespace).await;
                let clock = clock.map_err(ConnectError::Engine)?;
                let workflows = clock.workflows();
                engine_clock = Some(clock);
                Server::Embedded(workflows)
            }
            #[cfg(not(feature = "embedded"))]
            (None, Address::Memory { .. } | Address::Sqlite { .. }) => {
                let reason = "an engine in this process needs the feature `embedded` of `everloop`".to_owned();
                return Err(ConnectError::Address { address: self.address, reason });
            }
            (None, Address::Server { tls, .. }) => {
                let endpoint = endpoint(&address, self.timeout, self.keep_alive)?;
                let endpoint = if *tls == Some(true) { self.tls.apply(endpoint, &address)? } else { endpoint };
                Server::remote(Transport::Channel(endpoint.connect_lazy()))
            }
        };
        let connection = Connection::new(server, MetadataMap::from_headers(headers), self.timeout);
        let capabilities = match connection.attempt(GetSystemInfoRequest::default(), self.timeout).await {
            Ok(info) => info.capabilities.unwrap_or_default(),
            // Older servers do not have this call.
            Err(status) if status.code() == Code::Unimplemented => Capabilities::default(),
            Err(status) => return Err(no_connection(&address, &status)),
        };
        Ok(Client::new(ClientState {
            connection,
            capabilities,
            namespace: self.namespace,
            identity: self.identity.unwrap_or_else(default_identity),
            task_queue: self.task_queue.map(Into::into).unwrap_or_default(),
            codecs: self.codecs,
            interceptors: self.interceptors,
            unpolled: Default::default(),
            eager_workers: Default::default(),
            #[cfg(feature = "embedded")]
            engine_clock,
            failures: self.failures,
        }))
    }
}

/// The endpoint of a server.
fn endpoint(address: &Address, connect: Duration, keep_alive: Duration) -> Result<Endpoint, ConnectError> {
    let endpoint = Endpoint::from_shared(address.to_string())
        .map_err(|error| ConnectError::Address { address: address.to_string(), reason: error.to_string() })?;
    Ok(endpoint
        .connect_timeout(connect)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(keep_alive)
        .keep_alive_timeout(keep_alive / 3)
        .keep_alive_while_idle(true))
}

/// The error of the first call, with advice.
fn no_connection(address: &Address, status: &Status) -> ConnectError {
    let cause = RpcError::from_status("GetSystemInfo", status);
    if let Some(advice) = status.source().and_then(|source| advice(address, source)) {
        return ConnectError::Tls { address: address.to_string(), cause: cause.message, advice };
    }
    match cause.code {
        RpcCode::Unavailable | RpcCode::DeadlineExceeded | RpcCode::Cancelled | RpcCode::Unknown => {
            ConnectError::Unreachable { address: address.to_string(), cause: cause.message }
        }
        _ => ConnectError::Refused { address: address.to_string(), cause },
    }
}

/// The advice, if TLS or its absence is the likely cause.
fn advice(address: &Address, source: &(dyn Error + 'static)) -> Option<String> {
    match address {
        Address::Server { tls: Some(true), .. } => tls::advice(source),
        Address::Server { authority, .. } => {
            was_cut(source).then(|| format!("if the server takes TLS, write `https://{authority}`"))
        }
        Address::Memory { .. } | Address::Sqlite { .. } => None,
    }
}

impl IntoFuture for ClientBuilder {
    type Output = Result<Client, ConnectError>;
    type IntoFuture = SendFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.connect())
    }
}

/// The metadata of every call.
fn headers(
    namespace: &str,
    metadata: Vec<(String, String)>,
    api_key: Option<String>,
) -> Result<HeaderMap, ConnectError> {
    let fail = |name: &str, error: &dyn std::fmt::Display| ConnectError::Metadata {
        name: name.to_owned(),
        reason: error.to_string(),
    };
    let mut headers = HeaderMap::new();
    headers.insert("client-name", HeaderValue::from_static("everloop"));
    headers.insert("client-version", HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
    let namespace = HeaderValue::from_str(namespace).map_err(|error| fail("temporal-namespace", &error))?;
    headers.insert("temporal-namespace", namespace);
    if let Some(key) = api_key {
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|error| fail("the API key", &error))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    for (name, value) in metadata {
        let key: HeaderName = name.parse().map_err(|error| fail(&name, &error))?;
        headers.insert(key, HeaderValue::from_str(&value).map_err(|error| fail(&name, &error))?);
    }
    Ok(headers)
}

/// `PID@HOST`.
fn default_identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.as_deref().map(str::trim).filter(|host| !host.is_empty()).unwrap_or("localhost");
    format!("{}@{host}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        // A free port without a listener.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = Client::connect(format!("127.0.0.1:{port}")).await.err().unwrap().to_string();
        assert!(error.contains(&format!("no server answers at http://127.0.0.1:{port}")), "{error}");
    }

    #[tokio::test]
    async fn options_without_any_time_are_refused() {
        let refusal = Client::builder("memory:").timeout(Duration::ZERO).await.err().unwrap().to_string();
        assert_eq!(refusal, "`.timeout(..)`: no time at all lets no call succeed; give it some");
        let refusal = Client::builder("memory:").keep_alive_interval(Duration::ZERO).await.err().unwrap().to_string();
        assert!(refusal.starts_with("`.keep_alive_interval(..)`: "), "{refusal}");
    }

    #[cfg(feature = "embedded")]
    #[tokio::test]
    async fn endless_options_are_shortened() {
        let endless =
            Client::builder("memory:").timeout(Duration::MAX).keep_alive_interval(Duration::MAX).await.unwrap();
        assert!(endless.is_healthy().await);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_variable_that_is_no_text_is_refused_by_name() {
        use std::os::unix::ffi::OsStringExt;
        let broken = || OsString::from_vec(vec![b'a', 0xff]);
        let all = [("TEMPORAL_ADDRESS".into(), broken())];
        let refusal = Client::builder("memory:").all_variables(all.into_iter()).await.err().unwrap().to_string();
        assert_eq!(refusal, "`.env()`: the value of TEMPORAL_ADDRESS is not UTF-8 text; correct or unset it");
        // Variables of other programs are ignored.
        let all = [("OTHER".into(), broken()), (broken(), broken())];
        let refusal = Client::builder("memory:").all_variables(all.into_iter()).await.err();
        let refusal = refusal.map(|error| error.to_string()).unwrap_or_default();
        assert!(!refusal.contains(".env()"), "{refusal}");
    }

    #[tokio::test]
    async fn headers_that_cannot_be_sent_are_refused() {
        let error = Client::builder("127.0.0.1:1").rpc_metadata("x y", "1").await.err().unwrap();
        assert!(error.to_string().starts_with("`x y` cannot be sent as a header"), "{error}");
    }
}
