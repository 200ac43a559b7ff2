//! The hook around the calls of a client.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::error::{InterceptorError, RpcError};
use crate::data::{Headers, PayloadCodecError, Payloads};
use crate::raw;

/// Runs around the calls of a client.
///
/// It is given `next`, which runs the interceptors after this one and then makes the call, with all its retries: call it, look at its
/// result, or return an error instead. Of several interceptors, the first one added to the client is the outermost.
///
/// Headers travel with starts, signals, queries and updates to the workflow; a
/// [`WorkerInterceptor`](crate::worker::WorkerInterceptor) hands them on to activities.
///
/// ```
/// use everloop::client::{ClientCallError, CallReply, ClientCall, ClientInterceptor, NextCall};
///
/// tokio::task_local! {
///     /// The tenant that the request of this task is for.
///     static TENANT: String;
/// }
///
/// /// Sends the tenant along, and lets no workflow start without one.
/// struct Tenants;
///
/// impl ClientInterceptor for Tenants {
///     async fn call(&self, mut call: ClientCall, next: NextCall<'_>) -> Result<CallReply, ClientCallError> {
///         let tenant = TENANT.try_with(String::clone).map_err(|_| ClientCallError::refused("no tenant is set"))?;
///         if let Some(headers) = call.headers_mut() {
///             headers.insert("tenant", &tenant).map_err(ClientCallError::refused)?;
///         }
///         next.run(call).await
///     }
/// }
/// ```
pub trait ClientInterceptor: Send + Sync + 'static {
    /// Runs around a call, on the caller's task.
    fn call(
        &self,
        call: ClientCall,
        next: NextCall<'_>,
    ) -> impl Future<Output = Result<CallReply, ClientCallError>> + Send;
}

/// A call that a client is about to make.
#[derive(Debug)]
pub struct ClientCall {
    operation: ClientOperation,
    input: Payloads,
    headers: Option<Headers>,
}

/// The operation of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientOperation {
    /// A workflow is started.
    Start {
        /// The workflow type's name.
        workflow_type: String,
        /// The workflow's id.
        workflow_id: String,
        /// The task queue.
        task_queue: String,
        /// The name of the signal that is sent with the start, if any.
        signal: Option<String>,
    },
    /// A signal is sent.
    Signal {
        /// The signal's name.
        name: String,
        /// The workflow's id.
        workflow_id: String,
    },
    /// A query is asked.
    Query {
        /// The query's name.
        name: String,
        /// The workflow's id.
        workflow_id: String,
    },
    /// An update is sent.
    Update {
        /// The update's name.
        name: String,
        /// The workflow's id.
        workflow_id: String,
        /// The update's id.
        update_id: String,
    },
    /// The cancellation of a workflow is requested.
    Cancel {
        /// The workflow's id.
        workflow_id: String,
    },
    /// A workflow is terminated.
    Terminate {
        /// The workflow's id.
        workflow_id: String,
        /// The reason.
        reason: String,
    },
    /// A workflow is described.
    Describe {
        /// The workflow's id.
        workflow_id: String,
    },
    /// A page of workflows is listed.
    List {
        /// The filter; empty for all workflows.
        filter: String,
    },
    /// Workflows are counted.
    Count {
        /// The filter; empty for all workflows.
        filter: String,
    },
}

impl ClientOperation {
    /// The kind of operation in one word, for metrics and spans.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Signal { .. } => "signal",
            Self::Query { .. } => "query",
            Self::Update { .. } => "update",
            Self::Cancel { .. } => "cancel",
            Self::Terminate { .. } => "terminate",
            Self::Describe { .. } => "describe",
            Self::List { .. } => "list",
            Self::Count { .. } => "count",
        }
    }

    /// The id of the workflow that it is for; `None` for lists and counts.
    pub fn workflow_id(&self) -> Option<&str> {
        match self {
            Self::Start { workflow_id, .. }
            | Self::Signal { workflow_id, .. }
            | Self::Query { workflow_id, .. }
            | Self::Update { workflow_id, .. }
            | Self::Cancel { workflow_id }
            | Self::Terminate { workflow_id, .. }
            | Self::Describe { workflow_id } => Some(workflow_id),
            Self::List { .. } | Self::Count { .. } => None,
        }
    }
}

impl ClientCall {
    /// A call with inputs and headers.
    pub(super) fn with_input(operation: ClientOperation, input: Vec<raw::Payload>, headers: Headers) -> Self {
        Self { operation, input: input.into(), headers: Some(headers) }
    }

    /// A call without.
    pub(super) fn plain(operation: ClientOperation) -> Self {
        Self { operation, input: Payloads::new(), headers: None }
    }

    /// The operation.
    pub fn operation(&self) -> &ClientOperation {
        &self.operation
    }

    /// The inputs of the workflow, signal, query or update.
    pub fn input(&self) -> &Payloads {
        &self.input
    }

    /// The headers, first those of the call itself. `None` for operations without headers.
    pub fn headers_mut(&mut self) -> Option<&mut Headers> {
        self.headers.as_mut()
    }

    /// The inputs and headers, as they are on the wire.
    pub(super) fn into_wire(self) -> (Option<raw::Payloads>, Option<raw::Header>) {
        (self.input.into_wire(), self.headers.and_then(Headers::into_wire))
    }
}

/// The server's answer to a call. Each interceptor passes it on; the caller gets what it holds.
pub struct CallReply {
    pub(super) run_id: Option<String>,
    pub(super) reply: Box<dyn Any + Send>,
}

impl CallReply {
    /// The run that was started; `None` for all other operations.
    pub fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }
}

/// The reason why a call has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCallError {
    /// An interceptor refused the call.
    #[error(transparent)]
    Refused(#[from] InterceptorError),
    /// The payload codec failed.
    #[error(transparent)]
    Codec(#[from] PayloadCodecError),
    /// The server refused, or was not reached.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

impl ClientCallError {
    /// The error of an interceptor that makes no call, with its reason.
    pub fn refused(reason: impl ToString) -> Self {
        Self::Refused(InterceptorError(reason.to_string()))
    }

    /// The error of an operation; `rpc` makes it of the server's error.
    pub(super) fn into_error<E: From<InterceptorError> + From<PayloadCodecError>>(
        self,
        rpc: impl FnOnce(RpcError) -> E,
    ) -> E {
        match self {
            Self::Refused(error) => error.into(),
            Self::Codec(error) => error.into(),
            Self::Rpc(error) => rpc(error),
        }
    }
}

pub(super) type Called<'a> = Pin<Box<dyn Future<Output = Result<CallReply, ClientCallError>> + Send + 'a>>;

/// The interceptors that come after one, and the call itself.
pub struct NextCall<'a> {
    pub(super) rest: &'a [Arc<dyn DynClientInterceptor>],
    pub(super) call: Box<dyn FnOnce(ClientCall) -> Called<'a> + Send + 'a>,
}

impl NextCall<'_> {
    /// Runs them. Returns the server's answer.
    pub async fn run(self, call: ClientCall) -> Result<CallReply, ClientCallError> {
        match self.rest.split_first() {
            Some((first, rest)) => first.call_boxed(call, NextCall { rest, ..self }).await,
            None => (self.call)(call).await,
        }
    }
}

/// [`ClientInterceptor`] behind a pointer.
pub(super) trait DynClientInterceptor: Send + Sync {
    fn call_boxed<'a>(&'a self, call: ClientCall, next: NextCall<'a>) -> Called<'a>;
}

impl<I: ClientInterceptor> DynClientInterceptor for I {
    fn call_boxed<'a>(&'a self, call: ClientCall, next: NextCall<'a>) -> Called<'a> {
        Box::pin(self.call(call, next))
    }
}
