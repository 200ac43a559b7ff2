//! The client: its connection, and the values that all of its calls share.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use everloop_proto::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use everloop_proto::temporal::api::workflowservice::v1::get_system_info_response::Capabilities;

use super::connection::Connection;
use super::eager::EagerWorkers;
use super::failures::FailureBoard;
use super::interceptor::DynClientInterceptor;
use super::unpolled_queues::Unpolled;
use crate::data::{PayloadCodecError, PayloadCodecs, SerializationContext, Walk};
#[cfg(feature = "embedded")]
use crate::embedded::EngineClock;

/// The time limit of health checks.
const HEALTHY: Duration = Duration::from_secs(1);

/// Starts and reaches workflows, on an engine in this process or on a cluster, depending on its address.
///
/// Clones are cheap. Calls are retried while the server is unreachable, with random pauses, for ten seconds in all or for the
/// builder's [`timeout`](super::ClientBuilder::timeout). Permanent failures are returned at once.
///
/// ```no_run
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// use everloop::Client;
/// use everloop::client::ResultError;
/// use everloop::data::Payloads;
///
/// let client = Client::connect("localhost:7233").await?;
/// let handle = client.start_untyped("OneClickBuy", Payloads::of(&"item-1")?).id("buy-1").task_queue("purchases").await?;
/// match handle.result::<String>().await {
///     Ok(status) => println!("{status}"),
///     Err(ResultError::Failed(failure)) => println!("failed: {failure}"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<ClientState>,
}

pub(crate) struct ClientState {
    pub(super) connection: Connection,
    pub(super) capabilities: Capabilities,
    pub(super) namespace: String,
    pub(super) identity: String,
    /// The default task queue of starts.
    pub(super) task_queue: OnceLock<String>,
    pub(super) codecs: PayloadCodecs,
    pub(super) interceptors: Vec<Arc<dyn DynClientInterceptor>>,
    pub(super) unpolled: Unpolled,
    pub(super) eager_workers: EagerWorkers,
    #[cfg(feature = "embedded")]
    pub(super) engine_clock: Option<EngineClock>,
    /// The failures of the test environment, if there is one.
    pub(super) failures: Option<Arc<FailureBoard>>,
}

impl Client {
    pub(super) fn new(inner: ClientState) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// The namespace of all its calls.
    pub fn namespace(&self) -> &str {
        &self.inner.namespace
    }

    /// The name of this process in histories.
    pub fn identity(&self) -> &str {
        &self.inner.identity
    }

    /// Whether the server responds and has this client's namespace, for health endpoints.
    ///
    /// The check is one call without retries. It takes a second at most, or the client's
    /// [`timeout`](super::ClientBuilder::timeout) if that is shorter. It does not check for workers.
    ///
    /// ```
    /// use everloop::Client;
    /// use http::StatusCode;
    ///
    /// /// For axum, write `State(client): State<Client>`, and `.route("/health", get(health)).with_state(client)`.
    /// async fn health(client: Client) -> StatusCode {
    ///     if client.is_healthy().await { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    /// }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # let status = runtime.block_on(async { health(Client::connect("memory:").await.unwrap()).await });
    /// # assert_eq!(status, StatusCode::OK);
    /// ```
    pub async fn is_healthy(&self) -> bool {
        let request = DescribeNamespaceRequest { namespace: self.inner.namespace.clone(), ..Default::default() };
        let connection = self.connection();
        match connection.once(request, connection.limit().min(HEALTHY)).await {
            Ok(_) => true,
            Err(error) => {
                tracing::debug!(%error, "not healthy");
                false
            }
        }
    }

    /// The clock of the engine in this process; `None` if the client is connected to a server.
    #[cfg(feature = "embedded")]
    pub fn engine_clock(&self) -> Option<&EngineClock> {
        self.inner.engine_clock.as_ref()
    }

    // ---- for the rest of the crate ----

    /// Sets the default task queue of starts, unless it was set before. For test environments.
    #[cfg(all(feature = "embedded", feature = "worker"))]
    pub(crate) fn default_task_queue(&self, name: &str) {
        self.inner.task_queue.get_or_init(|| name.to_owned());
    }

    pub(crate) fn failures(&self) -> Option<&Arc<FailureBoard>> {
        self.inner.failures.as_ref()
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.inner.connection
    }

    /// The workers of this client that take tasks of eager starts.
    pub(crate) fn eager_workers(&self) -> &EagerWorkers {
        &self.inner.eager_workers
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    pub(crate) fn codecs(&self) -> &PayloadCodecs {
        &self.inner.codecs
    }

    /// Encodes the payloads of a message that names their workflow.
    pub(super) async fn encode(&self, message: &mut impl Walk) -> Result<(), PayloadCodecError> {
        let owner = || SerializationContext { namespace: self.inner.namespace.clone(), ..Default::default() };
        self.inner.codecs.encode(owner, message).await
    }

    /// Decodes the payloads of a message that names their workflow.
    pub(super) async fn decode(&self, message: &mut impl Walk) -> Result<(), PayloadCodecError> {
        let owner = || SerializationContext { namespace: self.inner.namespace.clone(), ..Default::default() };
        self.inner.codecs.decode(owner, message).await
    }

    /// Decodes the payloads of a message about a workflow, which it does not name.
    pub(super) async fn decode_of(&self, workflow_id: &str, message: &mut impl Walk) -> Result<(), PayloadCodecError> {
        self.inner
            .codecs
            .decode(|| SerializationContext::of_workflow(&self.inner.namespace, workflow_id), message)
            .await
    }
}
