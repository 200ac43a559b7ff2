//! Reaches workflows from outside: starts them, sends them messages, waits for their results.
//!
//! A [`Client`] starts workflows and returns a [`WorkflowHandle`] for each, which signals, queries, updates, cancels and
//! describes it. Each call has an error type of its own, with the failures that can happen to that call.

// The files here decide what a call asks for. `connection` and `transport` deliver it: deadlines, retries, in process or
// over the network.

mod activity;
mod address;
mod connection;
mod description;
mod eager;
mod environment;
mod error;
mod failures;
mod handle;
mod history;
mod interceptor;
mod list;
mod message;
mod options;
mod outcome;
#[cfg(feature = "profile")]
mod profile;
#[cfg(not(feature = "profile"))]
#[path = "no_profile.rs"]
mod profile;
mod retry;
mod rpc;
#[cfg(feature = "embedded")]
mod serve;
mod start;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
mod transport;
mod unpolled;
mod update;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use everloop_proto::temporal::api::workflowservice::v1::DescribeNamespaceRequest;
use everloop_proto::temporal::api::workflowservice::v1::get_system_info_response::Capabilities;

pub use activity::AsyncActivityHandle;
pub use description::{PendingActivity, WorkflowDescription, WorkflowStatus};
pub use error::{
    ConnectError, ExecuteError, HandleError, ListError, QueryError, ResultError, RpcCode, RpcError, SignalError,
    StartError, UpdateError,
};
pub use handle::{Queries, Target, Untyped, Updates, WithStart, WorkflowHandle};
pub use interceptor::{ClientInterceptor, OutgoingCall};
pub use list::{WorkflowList, WorkflowSummary};
pub use message::{QueryCall, SignalCall};
pub use options::ClientBuilder;
#[cfg(feature = "embedded")]
pub use serve::{ServeCall, ServeError, Serving};
pub use start::{ForHandle, ForResult, StartCall, WorkflowIdConflictPolicy, WorkflowIdReusePolicy};
#[cfg(feature = "tls")]
pub use tls::TlsOptions;
pub use update::{UpdateCall, UpdateHandle, UpdateStage};

#[cfg(feature = "embedded")]
pub use crate::embedded::{EngineClock, Jumping};
pub use crate::history::{History, HistoryError};

pub(crate) use connection::{Connection, LONG_POLL};
pub(crate) use eager::{EagerWorkers, TakeTask, TakesTasks};
pub(crate) use failures::{CheckResult, FailureBoard};
pub(crate) use retry::Backoff;
#[cfg(feature = "worker")]
pub(crate) use rpc::Rpc;

use crate::activity::TaskToken;
use crate::data::{DynPayloadCodec, Headers, PayloadCodecError, Payloads, decode_message, encode_message};
use crate::raw;
use crate::workflow::{Workflow, WorkflowCall};

/// How long a server may take to show that it is healthy.
const HEALTHY: Duration = Duration::from_secs(1);

/// Reaches workflows, on an engine in this process or on a cluster: the address decides.
///
/// Cheap to clone. Calls are retried while the server is away, for ten seconds in all unless
/// [`timeout`](ClientBuilder::timeout) says otherwise, with pauses drawn at random. Errors that no retry can mend are returned
/// at once.
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
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    connection: Connection,
    capabilities: Capabilities,
    namespace: String,
    identity: String,
    /// The queue of starts that name none.
    task_queue: OnceLock<String>,
    codec: Option<Arc<dyn DynPayloadCodec>>,
    interceptors: Vec<Arc<dyn ClientInterceptor>>,
    unpolled: unpolled::Unpolled,
    eager_workers: EagerWorkers,
    #[cfg(feature = "embedded")]
    engine_clock: Option<EngineClock>,
    /// Of a test environment.
    failures: Option<Arc<FailureBoard>>,
}

impl Client {
    /// Connects to `memory:` (an engine of its own in this process; `memory:?clock=skipping` jumps over waiting),
    /// `sqlite:PATH`, `http://HOST:PORT` or `HOST:PORT`, or, with the feature `tls`, `https://HOST:PORT`. Reads no environment.
    pub async fn connect(address: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(address).connect().await
    }

    /// Connects to what the standard variables name (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`,
    /// `TEMPORAL_TLS_..`: see [`ClientBuilder::env`]), or else to this address.
    pub async fn from_env_or(address: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(address).env().connect().await
    }

    /// A connection with namespace, identity, payload codec, headers and interceptors.
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(address)
    }

    fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// The namespace of all its calls.
    pub fn namespace(&self) -> &str {
        &self.inner.namespace
    }

    /// What histories call this process.
    pub fn identity(&self) -> &str {
        &self.inner.identity
    }

    /// Whether the server answers and has this client's namespace, for health endpoints.
    ///
    /// One call, which is not retried and takes a second at most (or the client's [`timeout`](ClientBuilder::timeout), if that is
    /// shorter). It says nothing about workers: they may be busy or elsewhere.
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

    /// Starts a workflow: set options, then await it for the handle.
    pub fn start<W: Workflow>(&self, call: WorkflowCall<W>) -> StartCall<W> {
        StartCall::new(self.clone(), W::NAME.to_owned(), W::ARGUMENTS.encode(&call.args))
    }

    /// Starts a workflow and waits for its result: set options, then await it.
    pub fn execute<W: Workflow>(&self, call: WorkflowCall<W>) -> StartCall<W, ForResult> {
        StartCall::new(self.clone(), W::NAME.to_owned(), W::ARGUMENTS.encode(&call.args))
    }

    /// Starts a workflow that this program knows by name only.
    pub fn start_untyped(&self, workflow_type: impl Into<String>, input: Payloads) -> StartCall<Untyped> {
        StartCall::new(self.clone(), workflow_type.into(), Ok(input.into_raw()))
    }

    /// Reaches the latest run of a workflow id. Nothing is asked before the handle is used.
    pub fn workflow_handle<W: Workflow>(&self, workflow_id: impl Into<String>) -> W::Handle<Client> {
        WorkflowHandle::<W>::new(self.clone(), workflow_id.into()).into()
    }

    /// Reaches one run of a workflow id, whichever came after it.
    pub fn workflow_handle_of_run<W: Workflow>(
        &self,
        workflow_id: impl Into<String>,
        run_id: impl Into<String>,
    ) -> W::Handle<Client> {
        WorkflowHandle::<W>::new(self.clone(), workflow_id.into()).of_run(run_id.into()).into()
    }

    /// Reaches the latest run of a workflow whose type this program does not know.
    pub fn untyped_handle(&self, workflow_id: impl Into<String>) -> WorkflowHandle<Untyped> {
        WorkflowHandle::new(self.clone(), workflow_id.into())
    }

    /// Reaches an activity that is completed from elsewhere.
    pub fn activity_handle(&self, token: TaskToken) -> AsyncActivityHandle {
        AsyncActivityHandle::new(self.clone(), token)
    }

    /// The workflows that a filter finds, such as `WorkflowType = 'OneClickBuy' AND ExecutionStatus = 'Running'`; all of them
    /// when it is empty. Latest start first.
    pub fn list_workflows(&self, filter: impl Into<String>) -> WorkflowList {
        WorkflowList::new(self.clone(), filter.into())
    }

    /// How many workflows a filter finds.
    pub async fn count_workflows(&self, filter: impl Into<String>) -> Result<u64, ListError> {
        list::count(self, filter.into()).await
    }

    /// The clock of the engine in this process; `None` for a server elsewhere.
    #[cfg(feature = "embedded")]
    pub fn engine_clock(&self) -> Option<&EngineClock> {
        self.inner.engine_clock.as_ref()
    }

    // ---- for the rest of the crate ----

    /// Gives starts that name no queue this one, unless they have one. For test environments.
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

    /// Where workers say that they take tasks of eager starts.
    pub(crate) fn eager_workers(&self) -> &EagerWorkers {
        &self.inner.eager_workers
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.inner.capabilities
    }

    pub(crate) fn codec(&self) -> Option<&dyn DynPayloadCodec> {
        self.inner.codec.as_deref()
    }

    pub(crate) async fn encode<M: crate::data::Walk>(&self, message: &mut M) -> Result<(), PayloadCodecError> {
        encode_message(self.codec(), message).await
    }

    pub(crate) async fn decode<M: crate::data::Walk>(&self, message: &mut M) -> Result<(), PayloadCodecError> {
        decode_message(self.codec(), message).await
    }

    /// Warns a little later if no worker polls that queue for activities. For workers, whose workflows wait for them.
    #[cfg(feature = "worker")]
    pub(crate) fn watch_activity_queue(&self, task_queue: &str) {
        let kind = everloop_proto::temporal::api::enums::v1::TaskQueueType::Activity;
        self.inner.unpolled.watch(self, task_queue, kind);
    }

    /// The headers of a call: what its maker set, and what interceptors add.
    fn headers(&self, call: &OutgoingCall<'_>, mut headers: Headers) -> Option<raw::Header> {
        for interceptor in &self.inner.interceptors {
            interceptor.outgoing(call, &mut headers);
        }
        headers.into_wire()
    }
}
