//! Handles: one workflow, reached by id.

use std::fmt;
use std::marker::PhantomData;

use everloop_proto::temporal::api::workflowservice::v1::{
    DescribeWorkflowExecutionRequest, RequestCancelWorkflowExecutionRequest, TerminateWorkflowExecutionRequest,
};
use uuid::Uuid;

use super::client::Client;
use super::description::WorkflowDescription;
use super::error::HandleError;
use super::history;
use super::interceptor::{ClientCallError, ClientOperation};
use crate::history::History;
use crate::raw;
use crate::workflow::Workflow;

impl Client {
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
}

/// The result of a start.
pub(super) struct StartedRun {
    pub(super) run_id: String,
    /// The first run of its chain. A start that finds a workflow running may find a later one.
    pub(super) first_run_id: Option<String>,
    pub(super) task_queue: String,
}

/// The place that a handle reaches its workflow from.
pub trait Target: Clone + 'static {}

impl Target for Client {}

/// Not started yet: what is called travels with the start request.
#[derive(Clone)]
pub struct WithStart(pub(super) ());
impl Target for WithStart {}

// The two are bounds of each query and update method, not of the handle's impl block, so that their messages are ours.

/// From where a workflow can be queried.
#[diagnostic::on_unimplemented(
    message = "workflow code cannot query a workflow",
    label = "only a client's handle answers queries",
    note = "let the other workflow send its state in a signal, or read it in an activity that has a client"
)]
pub trait Queries: Target {
    #[doc(hidden)]
    fn client(&self) -> &Client;
}
impl Queries for Client {
    fn client(&self) -> &Client {
        self
    }
}

/// From where a workflow can be updated.
#[diagnostic::on_unimplemented(
    message = "workflow code cannot update a workflow",
    label = "only a client's handle takes updates",
    note = "send a signal, or call the update in an activity that has a client"
)]
pub trait Updates: Target {
    #[doc(hidden)]
    fn client(&self) -> &Client;
}
impl Updates for Client {
    fn client(&self) -> &Client {
        self
    }
}

/// The `W` of a handle that knows no workflow type: its calls go by name.
pub struct Untyped;

/// Reaches one workflow by id. No bound on `W`, so that a struct whose `#[workflow] impl` is missing is not one error for
/// each mention of its handle.
///
/// A handle from a start reaches the chain that was started, whichever run of it is the latest; `result` follows that chain
/// to its end. A handle from an id alone reaches the latest run of that id.
pub struct WorkflowHandle<W = Untyped, T = Client> {
    pub(crate) target: T,
    pub(crate) workflow_id: String,
    /// The run that calls are for; the latest one if `None`.
    run_id: Option<String>,
    /// The run that was started, or that the start found.
    started_run_id: Option<String>,
    /// The first run of its chain, if the server named it.
    first_run_id: Option<String>,
    /// The queue that was named at the start.
    pub(super) task_queue: Option<String>,
    workflow: PhantomData<fn() -> W>,
}

impl<W, T: Clone> Clone for WorkflowHandle<W, T> {
    fn clone(&self) -> Self {
        Self {
            target: self.target.clone(),
            workflow_id: self.workflow_id.clone(),
            run_id: self.run_id.clone(),
            started_run_id: self.started_run_id.clone(),
            first_run_id: self.first_run_id.clone(),
            task_queue: self.task_queue.clone(),
            workflow: PhantomData,
        }
    }
}

/// The workflow that it reaches.
impl<W, T> fmt::Debug for WorkflowHandle<W, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, run_id) = (self.id(), self.run_id());
        f.debug_struct("WorkflowHandle").field("id", &id).field("run_id", &run_id).finish_non_exhaustive()
    }
}

impl<W, T> WorkflowHandle<W, T> {
    pub(super) fn new(target: T, workflow_id: String) -> Self {
        Self {
            target,
            workflow_id,
            run_id: None,
            started_run_id: None,
            first_run_id: None,
            task_queue: None,
            workflow: PhantomData,
        }
    }

    /// The handle that workflow code has of another workflow, which it started with that run if there is one.
    pub(crate) fn from_workflow(target: T, workflow_id: String, started_run_id: Option<String>) -> Self {
        Self { started_run_id, ..Self::new(target, workflow_id) }
    }

    pub(super) fn of_run(self, run_id: String) -> Self {
        Self { run_id: Some(run_id), ..self }
    }

    pub(super) fn of_start(self, run: StartedRun) -> Self {
        let StartedRun { run_id, first_run_id, task_queue } = run;
        Self { started_run_id: Some(run_id), first_run_id, task_queue: Some(task_queue), ..self }
    }

    /// The workflow's id.
    pub fn id(&self) -> &str {
        &self.workflow_id
    }

    /// The run that was started, that the start found running, or that the handle was made for; `None` for a handle from an id alone.
    pub fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref().or(self.started_run_id.as_deref())
    }

    /// The execution that calls are for.
    pub(super) fn execution(&self) -> raw::WorkflowExecution {
        raw::WorkflowExecution {
            workflow_id: self.workflow_id.clone(),
            run_id: self.run_id.clone().unwrap_or_default(),
        }
    }

    /// The first run of the chain that takes the call.
    pub(super) fn first_run_id(&self) -> String {
        self.first_run_id.clone().unwrap_or_default()
    }
}

impl<W> WorkflowHandle<W> {
    /// The client it works through.
    pub fn client(&self) -> &Client {
        &self.target
    }

    /// The same workflow, without its type.
    pub fn untyped(&self) -> WorkflowHandle<Untyped> {
        WorkflowHandle {
            target: self.target.clone(),
            workflow_id: self.workflow_id.clone(),
            run_id: self.run_id.clone(),
            started_run_id: self.started_run_id.clone(),
            first_run_id: self.first_run_id.clone(),
            task_queue: self.task_queue.clone(),
            workflow: PhantomData,
        }
    }

    /// Requests the cancellation of the workflow. Its code decides how it ends, and `result` returns that. Succeeds also when the
    /// workflow has ended already.
    pub async fn cancel(&self) -> Result<(), HandleError> {
        let client = &self.target;
        let request = RequestCancelWorkflowExecutionRequest {
            namespace: client.namespace().to_owned(),
            workflow_execution: Some(self.execution()),
            identity: client.identity().to_owned(),
            request_id: Uuid::new_v4().to_string(),
            first_execution_run_id: self.first_run_id(),
            ..Default::default()
        };
        let operation = ClientOperation::Cancel { workflow_id: self.workflow_id.clone() };
        let cancelled = client.intercepted_rpc(operation, request).await;
        cancelled.map(drop).map_err(|error| self.refused(error))
    }

    /// Ends the workflow at once. Its code is not run again.
    pub async fn terminate(&self, reason: impl Into<String>) -> Result<(), HandleError> {
        let (client, reason) = (&self.target, reason.into());
        let operation = ClientOperation::Terminate { workflow_id: self.workflow_id.clone(), reason: reason.clone() };
        let request = TerminateWorkflowExecutionRequest {
            namespace: client.namespace().to_owned(),
            workflow_execution: Some(self.execution()),
            reason,
            identity: client.identity().to_owned(),
            first_execution_run_id: self.first_run_id(),
            ..Default::default()
        };
        let terminated = client.intercepted_rpc(operation, request).await;
        terminated.map(drop).map_err(|error| self.refused(error))
    }

    /// The server's description of the workflow.
    pub async fn describe(&self) -> Result<WorkflowDescription, HandleError> {
        let client = &self.target;
        let request = DescribeWorkflowExecutionRequest {
            namespace: client.namespace().to_owned(),
            execution: Some(self.execution()),
        };
        let operation = ClientOperation::Describe { workflow_id: self.workflow_id.clone() };
        let described = client.intercepted_rpc(operation, request).await;
        let mut described = described.map_err(|error| self.refused(error))?;
        client.decode_of(&self.workflow_id, &mut described).await?;
        Ok(WorkflowDescription::new(described))
    }

    fn refused(&self, error: ClientCallError) -> HandleError {
        error.into_error(|error| HandleError::from_rpc(&self.workflow_id, error))
    }

    /// The history of the workflow's latest run so far.
    pub async fn history(&self) -> Result<History, HandleError> {
        history::fetch(&self.target, self.execution()).await
    }

    /// The histories of the workflow's runs, first to latest: one unless the workflow has
    /// [continued as new](crate::workflow::continue_as_new) or was retried. It begins with the earliest run that the server still
    /// has.
    pub async fn histories(&self) -> Result<Vec<History>, HandleError> {
        history::fetch_chain(&self.target, self.execution()).await
    }
}
