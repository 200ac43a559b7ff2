//! Signals and queries: the calls that methods of a typed handle return.

use std::future::IntoFuture;

use everloop_proto::temporal::api::errordetails::v1::QueryFailedFailure;
use everloop_proto::temporal::api::query::v1::WorkflowQuery;
use everloop_proto::temporal::api::workflowservice::v1::{
    QueryWorkflowRequest, QueryWorkflowResponse, SignalWorkflowExecutionRequest,
};
use uuid::Uuid;

use super::client::Client;
use super::error::{QueryError, RpcCode, RpcError, SignalError};
use super::failures::unless_failed;
use super::handle::{Queries, Target, Untyped, WorkflowHandle};
use super::interceptor::{ClientCall, ClientCallError, ClientOperation};
use super::status::WorkflowStatus;
use crate::data::{DecodeError, EncodeError, Failure, Headers, Payload, Payloads, decode, encode};
use crate::raw;
use crate::tasks::SendFuture;
use crate::workflow::Message;

impl WorkflowHandle<Untyped> {
    /// Sends a signal by name.
    pub async fn signal(&self, name: impl Into<String>, input: Payloads) -> Result<(), SignalError> {
        let input = MessageInput::new(self, name.into(), Ok(input.into_raw()));
        Box::pin(signal(self.target.clone(), input)).await
    }

    /// Sends a query by name.
    pub async fn query<Output: Payload>(&self, name: impl Into<String>, input: Payloads) -> Result<Output, QueryError> {
        let input = MessageInput::new(self, name.into(), Ok(input.into_raw()));
        Box::pin(query(self.target.clone(), input, decode)).await
    }
}

/// The content of a message of any kind.
pub(crate) struct MessageInput {
    pub(super) execution: raw::WorkflowExecution,
    pub(super) first_run_id: String,
    pub(super) name: String,
    pub(super) args: Result<Vec<raw::Payload>, EncodeError>,
    pub(super) headers: Headers,
}

impl MessageInput {
    pub(super) fn new<W, T>(
        handle: &WorkflowHandle<W, T>,
        name: String,
        args: Result<Vec<raw::Payload>, EncodeError>,
    ) -> Self {
        let (execution, first_run_id) = (handle.execution(), handle.first_run_id());
        Self { execution, first_run_id, name, args, headers: Headers::new() }
    }

    /// The target, the message's name, its arguments and its headers.
    pub(crate) fn into_parts(
        self,
    ) -> (raw::WorkflowExecution, String, Result<Vec<raw::Payload>, EncodeError>, Headers) {
        (self.execution, self.name, self.args, self.headers)
    }
}

/// A signal that is sent when it is awaited.
#[must_use = "a signal is not sent until it is awaited"]
pub struct SignalCall<T: Target> {
    target: T,
    pub(super) input: MessageInput,
}

impl<T: Target> SignalCall<T> {
    #[doc(hidden)]
    pub fn new<A, W>(handle: &WorkflowHandle<W, T>, message: Message<A, ()>, args: A) -> Self {
        let args = message.arguments.encode(&args);
        Self { target: handle.target.clone(), input: MessageInput::new(handle, message.name.to_owned(), args) }
    }

    /// Adds headers, beside those of interceptors.
    pub fn headers(mut self, headers: Headers) -> Self {
        self.input.headers = headers;
        self
    }

    pub(crate) fn into_input(self) -> MessageInput {
        self.input
    }
}

impl IntoFuture for SignalCall<Client> {
    type Output = Result<(), SignalError>;
    type IntoFuture = SendFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(signal(self.target, self.input))
    }
}

async fn signal(client: Client, input: MessageInput) -> Result<(), SignalError> {
    let MessageInput { execution, name, args, headers, .. } = input;
    let workflow_id = execution.workflow_id.clone();
    let operation = ClientOperation::Signal { name: name.clone(), workflow_id: workflow_id.clone() };
    let client = &client;
    let sent = client.intercepted(ClientCall::with_input(operation, args?, headers), |call| async move {
        let (input, header) = call.into_wire();
        let mut request = SignalWorkflowExecutionRequest {
            namespace: client.namespace().to_owned(),
            workflow_execution: Some(execution),
            signal_name: name,
            input,
            identity: client.identity().to_owned(),
            request_id: Uuid::new_v4().to_string(),
            header,
            ..Default::default()
        };
        client.encode(&mut request).await?;
        Ok(client.connection().call(request).await?)
    });
    sent.await.map(drop).map_err(|error| error.into_error(|error| SignalError::from_rpc(&workflow_id, error)))
}

/// A query that is sent when it is awaited.
#[must_use = "a query is not sent until it is awaited"]
pub struct QueryCall<Output> {
    client: Client,
    input: MessageInput,
    decode: fn(&raw::Payload) -> Result<Output, String>,
}

impl<Output: 'static> QueryCall<Output> {
    #[doc(hidden)]
    pub fn new<A, W, T: Queries>(handle: &WorkflowHandle<W, T>, message: Message<A, Output>, args: A) -> Self {
        let args = message.arguments.encode(&args);
        let input = MessageInput::new(handle, message.name.to_owned(), args);
        Self { client: handle.target.client().clone(), input, decode: message.output.decode }
    }

    /// Adds headers, beside those of interceptors.
    pub fn headers(mut self, headers: Headers) -> Self {
        self.input.headers = headers;
        self
    }
}

impl<Output: 'static> IntoFuture for QueryCall<Output> {
    type Output = Result<Output, QueryError>;
    type IntoFuture = SendFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(query(self.client, self.input, self.decode))
    }
}

async fn query<Output>(
    client: Client,
    input: MessageInput,
    decode: fn(&raw::Payload) -> Result<Output, String>,
) -> Result<Output, QueryError> {
    let MessageInput { execution, name, args, headers, .. } = input;
    let workflow_id = execution.workflow_id.clone();
    let operation = ClientOperation::Query { name: name.clone(), workflow_id: workflow_id.clone() };
    let call = ClientCall::with_input(operation, args?, headers);
    let asked = unless_failed(client.failures(), &workflow_id, async {
        let client = &client;
        let asked = client.intercepted(call, |call| async move {
            let (query_args, header) = call.into_wire();
            let mut request = QueryWorkflowRequest {
                namespace: client.namespace().to_owned(),
                execution: Some(execution),
                query: Some(WorkflowQuery { query_type: name, query_args, header }),
                ..Default::default()
            };
            client.encode(&mut request).await?;
            Ok(ask(client, request).await?)
        });
        match asked.await {
            Ok(reply) => Ok(reply),
            Err(ClientCallError::Rpc(error)) => Err(query_error(client, &workflow_id, error).await?),
            Err(ClientCallError::Codec(error)) => Err(error.into()),
            Err(ClientCallError::Refused(error)) => Err(error.into()),
        }
    });
    let mut reply = asked.await?;
    client.decode_of(&workflow_id, &mut reply).await?;
    if let Some(rejected) = reply.query_rejected {
        return Err(QueryError::Rejected { status: WorkflowStatus::from_wire(rejected.status) });
    }
    let answer = first(reply.query_result)?;
    decode(&answer).map_err(|cause| QueryError::Decode { workflow_id, cause: DecodeError::Result(cause) })
}

/// Sends the query again when half of the time has passed: a query is lost with the worker that received it, and a repetition
/// changes nothing.
async fn ask(client: &Client, request: QueryWorkflowRequest) -> Result<QueryWorkflowResponse, RpcError> {
    let connection = client.connection();
    let half = connection.limit() / 2;
    match connection.call_within(half, request.clone()).await {
        Err(error) if error.code == RpcCode::DeadlineExceeded => connection.call_within(half, request).await,
        answer => answer,
    }
}

async fn query_error(client: &Client, workflow_id: &str, error: RpcError) -> Result<QueryError, QueryError> {
    let absent = error.is_absent(workflow_id);
    let workflow_id = workflow_id.to_owned();
    Ok(match error.code {
        _ if absent => QueryError::NotFound { workflow_id, message: error.message },
        RpcCode::InvalidArgument => match error.detail::<QueryFailedFailure>() {
            Some(QueryFailedFailure { failure: Some(mut failure) }) => {
                client.decode_of(&workflow_id, &mut failure).await?;
                QueryError::Failed(Failure::from_wire(failure))
            }
            Some(_) => QueryError::Failed(Failure::application("QueryFailed", error.message)),
            None => QueryError::Rpc(error),
        },
        RpcCode::FailedPrecondition => QueryError::NotReady { workflow_id, message: error.message },
        RpcCode::DeadlineExceeded | RpcCode::Cancelled => QueryError::NoAnswer { workflow_id },
        _ => QueryError::Rpc(error),
    })
}

pub(super) fn payloads(payloads: Vec<raw::Payload>) -> Option<raw::Payloads> {
    (!payloads.is_empty()).then_some(raw::Payloads { payloads })
}

/// The value of a response; `()` if it has none.
pub(super) fn first(payloads: Option<raw::Payloads>) -> Result<raw::Payload, EncodeError> {
    match payloads.and_then(|payloads| payloads.payloads.into_iter().next()) {
        Some(payload) => Ok(payload),
        None => encode(&()),
    }
}
