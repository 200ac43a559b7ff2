//! Updates: requests that the workflow accepts or rejects, and that return a result.

use std::future::IntoFuture;

use everloop_proto::temporal::api::enums::v1::UpdateWorkflowExecutionLifecycleStage as Stage;
use everloop_proto::temporal::api::update::v1::{
    Input, Meta, Outcome, Request, UpdateRef, WaitPolicy, outcome::Value as Answer,
};
use everloop_proto::temporal::api::workflowservice::v1::{
    PollWorkflowExecutionUpdateRequest, UpdateWorkflowExecutionRequest, UpdateWorkflowExecutionResponse,
};
use uuid::Uuid;

use super::client::Client;
use super::error::{RpcCode, RpcError, UpdateError};
use super::failures::unless_failed;
use super::handle::{Untyped, Updates, WorkflowHandle};
use super::interceptor::{ClientCall, ClientOperation};
use super::message::{MessageInput, first};
use crate::data::{DecodeError, Failure, Headers, Payload, Payloads, decode};
use crate::raw;
use crate::tasks::SendFuture;
use crate::workflow::Message;

impl WorkflowHandle<Untyped> {
    /// Sends an update by name, and waits for its result.
    pub async fn update<Output: Payload>(
        &self,
        name: impl Into<String>,
        input: Payloads,
    ) -> Result<Output, UpdateError> {
        self.start_update(name, input).await?.result().await
    }

    /// Sends an update by name, and waits until the workflow has accepted it.
    pub async fn start_update<Output: Payload>(
        &self,
        name: impl Into<String>,
        input: Payloads,
    ) -> Result<UpdateHandle<Output>, UpdateError> {
        let input = MessageInput::new(self, name.into(), Ok(input.into_raw()));
        let started = start(self.target.clone(), input, decode, UpdateOptions::default());
        Box::pin(started).await
    }
}

/// The stage of an update for which [`UpdateCall::start`] waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateStage {
    /// The workflow's validator has accepted the update, and its handler runs.
    #[default]
    Accepted,
    /// The handler has returned.
    Completed,
}

#[derive(Debug, Clone, Default)]
struct UpdateOptions {
    id: Option<String>,
    stage: UpdateStage,
}

/// An update that is sent when it is awaited (for its result) or started (for a handle).
#[must_use = "an update is not sent until it is awaited or started"]
pub struct UpdateCall<Output> {
    client: Client,
    input: MessageInput,
    decode: fn(&raw::Payload) -> Result<Output, String>,
    options: UpdateOptions,
}

impl<Output: 'static> UpdateCall<Output> {
    #[doc(hidden)]
    pub fn new<A, W, T: Updates>(handle: &WorkflowHandle<W, T>, message: Message<A, Output>, args: A) -> Self {
        let args = message.arguments.encode(&args);
        let input = MessageInput::new(handle, message.name.to_owned(), args);
        let client = handle.target.client().clone();
        Self { client, input, decode: message.output.decode, options: UpdateOptions::default() }
    }

    /// Sets the update's id in the workflow. A second update with the same id returns the outcome of the first.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.options.id = Some(id.into());
        self
    }

    /// Sets the stage that [`start`](Self::start) waits for.
    pub fn wait_for(mut self, stage: UpdateStage) -> Self {
        self.options.stage = stage;
        self
    }

    /// Adds headers, beside those of interceptors.
    pub fn headers(mut self, headers: Headers) -> Self {
        self.input.headers = headers;
        self
    }

    /// Sends the update and waits until it is accepted (or for the stage of [`wait_for`](Self::wait_for)).
    pub async fn start(self) -> Result<UpdateHandle<Output>, UpdateError> {
        start(self.client, self.input, self.decode, self.options).await
    }
}

impl<Output: 'static> IntoFuture for UpdateCall<Output> {
    type Output = Result<Output, UpdateError>;
    type IntoFuture = SendFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let call = self.wait_for(UpdateStage::Completed);
        Box::pin(async move { call.start().await?.result().await })
    }
}

async fn start<Output>(
    client: Client,
    input: MessageInput,
    decode: fn(&raw::Payload) -> Result<Output, String>,
    options: UpdateOptions,
) -> Result<UpdateHandle<Output>, UpdateError> {
    let MessageInput { execution, first_run_id, name, args, headers } = input;
    let workflow_id = execution.workflow_id.clone();
    let update_id = options.id.unwrap_or_else(|| Uuid::new_v4().to_string());
    let wanted = match options.stage {
        UpdateStage::Accepted => Stage::Accepted,
        UpdateStage::Completed => Stage::Completed,
    };
    let (name_of_call, id) = (name.clone(), workflow_id.clone());
    let operation = ClientOperation::Update { name: name_of_call, workflow_id: id, update_id: update_id.clone() };
    let call = ClientCall::with_input(operation, args?, headers);
    let sent = async {
        let client = &client;
        let sent = client.intercepted(call, |call| async move {
            let (args, header) = call.into_wire();
            let meta = Meta { update_id, identity: client.identity().to_owned() };
            let input = Input { header, name, args };
            let request = Request { meta: Some(meta), input: Some(input), ..Default::default() };
            let mut request = UpdateWorkflowExecutionRequest {
                namespace: client.namespace().to_owned(),
                workflow_execution: Some(execution),
                first_execution_run_id: first_run_id,
                wait_policy: Some(WaitPolicy { lifecycle_stage: wanted as i32 }),
                request: Some(request),
            };
            client.encode(&mut request).await?;
            Ok(send(client, request).await?)
        });
        sent.await.map_err(|error| error.into_error(|error| rpc_error(&workflow_id, error)))
    };
    let reply = unless_failed(client.failures(), &workflow_id, sent).await?;
    let reference = reply.update_ref.unwrap_or_default();
    let handle = UpdateHandle { client, workflow_id, reference, known: reply.outcome, decode };
    match options.stage {
        UpdateStage::Completed => handle.completed().await,
        UpdateStage::Accepted => Ok(handle),
    }
}

async fn send(
    client: &Client,
    request: UpdateWorkflowExecutionRequest,
) -> Result<UpdateWorkflowExecutionResponse, RpcError> {
    // Servers respond early while no worker has received the update; a repetition with the same id waits for it.
    loop {
        let reply = client.connection().letting_time_jump().bring(request.clone()).await?;
        if reply.stage >= Stage::Accepted as i32 || reply.outcome.is_some() {
            return Ok(reply);
        }
    }
}

/// An update that the workflow has accepted.
pub struct UpdateHandle<Output> {
    client: Client,
    workflow_id: String,
    reference: UpdateRef,
    known: Option<Outcome>,
    decode: fn(&raw::Payload) -> Result<Output, String>,
}

impl<Output> UpdateHandle<Output> {
    /// The update's id in the workflow.
    pub fn id(&self) -> &str {
        &self.reference.update_id
    }

    /// The workflow's id.
    pub fn workflow_id(&self) -> &str {
        &self.workflow_id
    }

    /// The run that accepted the update.
    pub fn run_id(&self) -> Option<&str> {
        self.reference.workflow_execution.as_ref().map(|execution| execution.run_id.as_str())
    }

    /// Waits for the result.
    pub async fn result(&self) -> Result<Output, UpdateError> {
        let outcome = match &self.known {
            Some(outcome) => outcome.clone(),
            None => self.outcome().await?,
        };
        self.answer(outcome).await
    }

    async fn completed(mut self) -> Result<Self, UpdateError> {
        if self.known.is_none() {
            self.known = Some(self.outcome().await?);
        }
        Ok(self)
    }

    async fn outcome(&self) -> Result<Outcome, UpdateError> {
        unless_failed(self.client.failures(), &self.workflow_id, self.poll()).await
    }

    async fn poll(&self) -> Result<Outcome, UpdateError> {
        let request = PollWorkflowExecutionUpdateRequest {
            namespace: self.client.namespace().to_owned(),
            update_ref: Some(self.reference.clone()),
            identity: self.client.identity().to_owned(),
            wait_policy: Some(WaitPolicy { lifecycle_stage: Stage::Completed as i32 }),
        };
        loop {
            let reply = self.client.connection().letting_time_jump().long_poll(request.clone()).await;
            let reply = reply.map_err(|error| rpc_error(&self.workflow_id, error))?;
            if let Some(outcome) = reply.outcome {
                return Ok(outcome);
            }
        }
    }

    async fn answer(&self, mut outcome: Outcome) -> Result<Output, UpdateError> {
        self.client.decode_of(&self.workflow_id, &mut outcome).await?;
        match outcome.value {
            Some(Answer::Failure(failure)) => Err(UpdateError::Failed(Failure::from_wire(failure))),
            value => {
                let success = match value {
                    Some(Answer::Success(success)) => Some(success),
                    _ => None,
                };
                let misfit = |cause| UpdateError::Decode {
                    workflow_id: self.workflow_id.clone(),
                    cause: DecodeError::Result(cause),
                };
                (self.decode)(&first(success)?).map_err(misfit)
            }
        }
    }
}

fn rpc_error(workflow_id: &str, error: RpcError) -> UpdateError {
    let workflow_id = workflow_id.to_owned();
    match error.code {
        _ if error.is_absent(&workflow_id) => UpdateError::NotFound { workflow_id, message: error.message },
        RpcCode::FailedPrecondition => UpdateError::NotReady { workflow_id, message: error.message },
        _ => UpdateError::Rpc(error),
    }
}
