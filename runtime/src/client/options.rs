//! How a client is made.

use std::convert::Infallible;
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
use tower::Service;

use super::address::Address;
use super::connection::Connection;
use super::error::{ConnectError, RpcCode};
use super::interceptor::ClientInterceptor;
use super::rpc::Server;
use super::transport::{InProcess, Transport};
use super::{Client, Inner};
use crate::data::{DynPayloadCodec, PayloadCodec};
#[cfg(feature = "embedded")]
use crate::embedded::EngineClock;
use crate::tasks::SendFuture;

/// How long the first call may take, before the server counts as away.
const FIRST_CALL: Duration = Duration::from_secs(10);

/// Makes a [`Client`]: await it, or [`connect`](Self::connect).
///
/// ```no_run
/// # async fn connect() -> Result<(), everloop::ConnectError> {
/// let client = everloop::Client::builder("http://temporal.internal:7233").namespace("shop").task_queue("purchases").await?;
/// # drop(client); Ok(()) }
/// ```
#[must_use = "nothing is connected until it is awaited"]
pub struct ClientBuilder {
    address: String,
    namespace: String,
    identity: Option<String>,
    task_queue: Option<String>,
    codec: Option<Arc<dyn DynPayloadCodec>>,
    interceptors: Vec<Arc<dyn ClientInterceptor>>,
    metadata: Vec<(String, String)>,
    api_key: Option<String>,
    refusal: Option<ConnectError>,
    service: Option<InProcess>,
    failures: Option<Arc<super::FailureBoard>>,
}

impl ClientBuilder {
    pub(super) fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            namespace: "default".to_owned(),
            identity: None,
            task_queue: None,
            codec: None,
            interceptors: Vec::new(),
            metadata: Vec::new(),
            api_key: None,
            refusal: None,
            service: None,
            failures: None,
        }
    }

    /// Takes what the standard variables say: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE` and `TEMPORAL_API_KEY`. They win over
    /// what was set before, and lose to what is set after. `TEMPORAL_TLS_*` is refused: this version has no TLS.
    pub fn env(self) -> Self {
        self.variables(|name| std::env::var(name).ok())
    }

    fn variables(mut self, variable: impl Fn(&'static str) -> Option<String>) -> Self {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        for name in [
            "TEMPORAL_TLS",
            "TEMPORAL_TLS_CLIENT_CERT_PATH",
            "TEMPORAL_TLS_CLIENT_CERT_DATA",
            "TEMPORAL_TLS_CLIENT_KEY_PATH",
            "TEMPORAL_TLS_CLIENT_KEY_DATA",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
            "TEMPORAL_TLS_SERVER_CA_CERT_DATA",
            "TEMPORAL_TLS_SERVER_NAME",
            "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION",
        ] {
            let is_off = |value: &str| name == "TEMPORAL_TLS" && matches!(value, "false" | "0");
            if variable(name).is_some_and(|value| !is_off(&value)) {
                let reason = "asks for TLS, which this version does not support; unset it".to_owned();
                self.refusal.get_or_insert(ConnectError::Environment { variable: name, reason });
            }
        }
        if let Some(address) = variable("TEMPORAL_ADDRESS") {
            self.address = address;
        }
        if let Some(namespace) = variable("TEMPORAL_NAMESPACE") {
            self.namespace = namespace;
        }
        if let Some(key) = variable("TEMPORAL_API_KEY") {
            self.api_key = Some(key);
        }
        self
    }

    /// The namespace of all calls; `default` unless set.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// What histories call this process; `PID@HOST` unless set.
    pub fn identity(mut self, name: impl Into<String>) -> Self {
        self.identity = Some(name.into());
        self
    }

    /// The task queue of starts that name none.
    pub fn task_queue(mut self, name: impl Into<String>) -> Self {
        self.task_queue = Some(name.into());
        self
    }

    /// What happens to payloads between conversion and the wire, here and in the workers of this client.
    pub fn payload_codec(mut self, codec: impl PayloadCodec) -> Self {
        self.codec = Some(Arc::new(codec));
        self
    }

    /// Sees calls before they leave. The first one added is asked first.
    pub fn interceptor(mut self, interceptor: impl ClientInterceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// A header of the transport that goes with every call, for proxies and gateways.
    pub fn rpc_metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((name.into(), value.into()));
        self
    }

    /// Sent with every call as a bearer token.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// For measurements of this crate: every call goes to this service in this process, whatever the address. Hidden, because
    /// it shows tonic, which the rest of the interface does not.
    #[doc(hidden)]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        self.service = Some(Arc::new(move |request| Box::pin(service.clone().call(request))));
        self
    }

    /// For test environments: results fail at once with what is reported there.
    pub(crate) fn failures(mut self, failures: Arc<super::FailureBoard>) -> Self {
        self.failures = Some(failures);
        self
    }

    /// Connects, and asks the server what it can do.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let headers = headers(&self.namespace, self.metadata, self.api_key)?;
        let address = Address::parse(&self.address)?;
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
            (None, Address::Server(uri)) => {
                let endpoint = Endpoint::from_shared(uri.clone()).map_err(|error| ConnectError::Address {
                    address: self.address.clone(),
                    reason: error.to_string(),
                })?;
                let endpoint = endpoint
                    .connect_timeout(FIRST_CALL)
                    .tcp_nodelay(true)
                    .http2_keep_alive_interval(Duration::from_secs(30))
                    .keep_alive_timeout(Duration::from_secs(15))
                    .keep_alive_while_idle(true);
                Server::remote(Transport::Channel(endpoint.connect_lazy()))
            }
        };
        let connection = Connection::new(server, MetadataMap::from_headers(headers));
        let capabilities = match connection.once(GetSystemInfoRequest::default(), FIRST_CALL).await {
            Ok(info) => info.capabilities.unwrap_or_default(),
            // Servers from before the call was added.
            Err(error) if error.code == RpcCode::Unimplemented => Capabilities::default(),
            Err(error) if matches!(error.code, RpcCode::Unavailable | RpcCode::DeadlineExceeded | RpcCode::Unknown) => {
                return Err(ConnectError::Unreachable { address: address.to_string(), cause: error.message });
            }
            Err(cause) => return Err(ConnectError::Refused { address: address.to_string(), cause }),
        };
        Ok(Client::new(Inner {
            connection,
            capabilities,
            namespace: self.namespace,
            identity: self.identity.unwrap_or_else(default_identity),
            task_queue: self.task_queue,
            codec: self.codec,
            interceptors: self.interceptors,
            unpolled: Default::default(),
            eager_workers: Default::default(),
            #[cfg(feature = "embedded")]
            engine_clock,
            failures: self.failures,
        }))
    }
}

impl IntoFuture for ClientBuilder {
    type Output = Result<Client, ConnectError>;
    type IntoFuture = SendFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.connect())
    }
}

/// What every call carries.
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

    #[test]
    fn the_environment_wins_over_the_default_address() {
        let builder = ClientBuilder::new("memory:").variables(|name| match name {
            "TEMPORAL_ADDRESS" => Some("localhost:7233".to_owned()),
            "TEMPORAL_NAMESPACE" => Some(String::new()),
            _ => None,
        });
        assert_eq!((builder.address.as_str(), builder.namespace.as_str()), ("localhost:7233", "default"));
        assert!(builder.refusal.is_none());
    }

    #[tokio::test]
    async fn tls_variables_are_refused_by_name() {
        let builder = ClientBuilder::new("memory:")
            .variables(|name| (name == "TEMPORAL_TLS_SERVER_NAME").then(|| "temporal.internal".to_owned()));
        let error = builder.connect().await.err().unwrap().to_string();
        assert!(error.contains("TEMPORAL_TLS_SERVER_NAME asks for TLS"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        // A port of our own that nobody listens on any more.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = Client::connect(format!("127.0.0.1:{port}")).await.err().unwrap().to_string();
        assert!(error.contains(&format!("no server answers at http://127.0.0.1:{port}")), "{error}");
    }

    #[tokio::test]
    async fn headers_that_cannot_be_sent_are_refused() {
        let error = Client::builder("127.0.0.1:1").rpc_metadata("x y", "1").await.err().unwrap();
        assert!(error.to_string().starts_with("`x y` cannot be sent as a header"), "{error}");
    }
}
