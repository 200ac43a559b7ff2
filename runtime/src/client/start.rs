//! Starting workflows.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

use everloop_proto::temporal::api::enums::v1 as enums;
use everloop_proto::temporal::api::errordetails::v1::WorkflowExecutionAlreadyStartedFailure;
use everloop_proto::temporal::api::sdk::v1::UserMetadata;
use everloop_proto::temporal::api::workflowservice::v1::{
    SignalWithStartWorkflowExecutionRequest, StartWorkflowExecutionRequest, StartWorkflowExecutionResponse,
};
use serde::Serialize;
use uuid::Uuid;

use super::client::Client;
use super::error::{ExecuteError, ResultError, RpcCode, RpcError, StartError};
use super::handle::{StartedRun, Untyped, WithStart, WorkflowHandle};
use super::interceptor::{ClientCall, ClientOperation};
use super::message::{MessageInput, SignalCall, payloads};
use crate::data::{
    DecodeError, EncodeError, Headers, OptionError, Payloads, RetryPolicy, check_limit, duration_to_wire, encode,
};
use crate::raw;
use crate::tasks::SendFuture;
use crate::workflow::{Workflow, WorkflowCall};

/// The policy for a workflow id that belonged to a workflow that has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkflowIdReusePolicy {
    /// The id may be used again.
    #[default]
    AllowDuplicate,
    /// The id may be used again unless that workflow completed.
    AllowDuplicateFailedOnly,
    /// The id may not be used again.
    RejectDuplicate,
}

/// The policy for a workflow id that belongs to a running workflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkflowIdConflictPolicy {
    /// The start fails with [`StartError::AlreadyStarted`]; a start with a signal sends the signal.
    #[default]
    Unspecified,
    /// The start fails with [`StartError::AlreadyStarted`].
    Fail,
    /// Nothing is started: the handle reaches the running one.
    UseExisting,
    /// The running one is terminated first.
    TerminateExisting,
}

impl Client {
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
}

/// Awaiting the start returns a handle.
pub struct ForHandle(());

/// Awaiting the start returns the workflow's result.
pub struct ForResult(());

/// A workflow that is started when it is awaited. See [`Client::start`] and [`Client::execute`].
#[must_use = "a workflow is not started until it is awaited"]
pub struct StartCall<W, Then = ForHandle> {
    client: Client,
    workflow_id: String,
    workflow_type: String,
    input: Result<Vec<raw::Payload>, EncodeError>,
    options: StartOptions,
    _for: PhantomData<fn() -> (W, Then)>,
}

#[derive(Default)]
struct StartOptions {
    task_queue: Option<String>,
    reuse: WorkflowIdReusePolicy,
    conflict: WorkflowIdConflictPolicy,
    execution_timeout: Option<Duration>,
    run_timeout: Option<Duration>,
    task_timeout: Option<Duration>,
    start_delay: Option<Duration>,
    retry_policy: Option<RetryPolicy>,
    cron_schedule: String,
    memo: HashMap<String, raw::Payload>,
    headers: Headers,
    summary: Option<raw::Payload>,
    signal: Option<MessageInput>,
    eager: bool,
    /// The first value that could not be serialized.
    misfit: Option<EncodeError>,
}

impl StartOptions {
    fn check_limits(&self) -> Result<(), OptionError> {
        check_limit("execution_timeout", self.execution_timeout)?;
        check_limit("run_timeout", self.run_timeout)?;
        check_limit("task_timeout", self.task_timeout)?;
        self.retry_policy.as_ref().map_or(Ok(()), RetryPolicy::check)
    }
}

impl<W, Then> StartCall<W, Then> {
    pub(super) fn new(client: Client, workflow_type: String, input: Result<Vec<raw::Payload>, EncodeError>) -> Self {
        let workflow_id = Uuid::new_v4().to_string();
        Self { client, workflow_id, workflow_type, input, options: StartOptions::default(), _for: PhantomData }
    }

    /// The workflow's id, which names what it is about: an order number, a customer. Random unless set.
    ///
    /// While a workflow with the id runs, another start fails with [`StartError::AlreadyStarted`](crate::client::StartError); after its
    /// end the id may be used again. [`id_conflict_policy`](Self::id_conflict_policy) and
    /// [`id_reuse_policy`](Self::id_reuse_policy) change the one and the other.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.workflow_id = id.into();
        self
    }

    /// The queue whose workers run it. Needed unless the client has one for all starts.
    pub fn task_queue(mut self, name: impl Into<String>) -> Self {
        self.options.task_queue = Some(name.into());
        self
    }

    /// The policy for a workflow id that belonged to a workflow that has ended.
    pub fn id_reuse_policy(mut self, policy: WorkflowIdReusePolicy) -> Self {
        self.options.reuse = policy;
        self
    }

    /// The policy for a workflow id that belongs to a running workflow.
    pub fn id_conflict_policy(mut self, policy: WorkflowIdConflictPolicy) -> Self {
        self.options.conflict = policy;
        self
    }

    /// How long the workflow may take, all its runs together. No limit unless set.
    pub fn execution_timeout(mut self, limit: Duration) -> Self {
        self.options.execution_timeout = Some(limit);
        self
    }

    /// How long one run may take. No limit unless set.
    pub fn run_timeout(mut self, limit: Duration) -> Self {
        self.options.run_timeout = Some(limit);
        self
    }

    /// How long a worker may take for one workflow task, before another one gets it. 10 seconds unless set.
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.options.task_timeout = Some(limit);
        self
    }

    /// How long to wait before it begins: a hundred years at most.
    pub fn start_delay(mut self, delay: Duration) -> Self {
        self.options.start_delay = Some(delay);
        self
    }

    /// Has the workflow run again and again, each time in a new run with the same arguments: `0 9 * * mon-fri` is nine
    /// o'clock UTC on workdays, `@daily` is midnight, `@every 90m` has its own pace. It ends when it is cancelled, terminated or
    /// at its [`execution_timeout`](Self::execution_timeout). Times that pass while a run is under way are skipped.
    ///
    /// The result of the handle is that of the last run, so it comes only at the end.
    pub fn cron_schedule(mut self, schedule: impl Into<String>) -> Self {
        self.options.cron_schedule = schedule.into();
        self
    }

    /// Has the workflow tried again when it fails or its run times out, in a new run with the same arguments; its handle
    /// follows. Without a policy it fails for good. Time that all runs may take together is the
    /// [`execution_timeout`](Self::execution_timeout).
    ///
    /// A workflow seldom needs this: its activities are retried by themselves, and a panic only fails its workflow task.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.options.retry_policy = Some(policy);
        self
    }

    /// Adds a value that lists and descriptions show.
    pub fn memo<T: Serialize + 'static>(mut self, name: impl Into<String>, value: &T) -> Self {
        let name = name.into();
        match encode(value) {
            Ok(value) => drop(self.options.memo.insert(name, value)),
            Err(error) => drop(self.options.misfit.get_or_insert(error.of(format!("memo `{name}`")))),
        }
        self
    }

    /// Adds a header, beside those of interceptors.
    pub fn header<T: Serialize + 'static>(mut self, name: impl Into<String>, value: &T) -> Self {
        if let Err(error) = self.options.headers.insert(name, value) {
            self.options.misfit.get_or_insert(error);
        }
        self
    }

    /// A line for readers of the workflow's history.
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        match encode(&text.into()) {
            Ok(text) => self.options.summary = Some(text),
            Err(error) => drop(self.options.misfit.get_or_insert(error)),
        }
        self
    }

    /// Has the first workflow task come back with the answer to the start, where a worker of this client (or a clone of it)
    /// runs on the same queue and has room for it: one round trip less. Otherwise nothing changes. Starts with a signal are
    /// never eager.
    pub fn request_eager_start(mut self, wanted: bool) -> Self {
        self.options.eager = wanted;
        self
    }

    /// Sends the request. Returns the id of the run, and the queue it was started on.
    async fn send(self) -> Result<(WorkflowHandle<W>, StartedRun), StartError> {
        let Self { client, workflow_id, workflow_type, input, options, .. } = self;
        if workflow_id.is_empty() {
            return Err(StartError::EmptyId);
        }
        let task_queue = options.task_queue.clone().or_else(|| client.inner.task_queue.get().cloned());
        let Some(task_queue) = task_queue.filter(|task_queue| !task_queue.is_empty()) else {
            return Err(StartError::NoTaskQueue { workflow_id });
        };
        if let Err(cause) = options.check_limits() {
            return Err(StartError::InvalidOption { workflow_id, cause });
        }
        if let Some(misfit) = options.misfit {
            return Err(misfit.into());
        }
        let signal = options.signal.map(|signal| Ok::<_, EncodeError>((signal.name, signal.args?))).transpose()?;
        let operation = ClientOperation::Start {
            workflow_type: workflow_type.clone(),
            workflow_id: workflow_id.clone(),
            task_queue: task_queue.clone(),
            signal: signal.as_ref().map(|(name, _)| name.clone()),
        };
        let call = ClientCall::with_input(operation, input?, options.headers);
        let duration = |limit: Option<Duration>| limit.map(duration_to_wire);
        let mut request = StartWorkflowExecutionRequest {
            namespace: client.namespace().to_owned(),
            workflow_id: workflow_id.clone(),
            workflow_type: Some(raw::WorkflowType { name: workflow_type }),
            task_queue: Some(raw::TaskQueue { name: task_queue.clone(), ..Default::default() }),
            workflow_execution_timeout: duration(options.execution_timeout),
            workflow_run_timeout: duration(options.run_timeout),
            workflow_task_timeout: duration(options.task_timeout),
            identity: client.identity().to_owned(),
            request_id: Uuid::new_v4().to_string(),
            workflow_id_reuse_policy: options.reuse.into_wire(),
            workflow_id_conflict_policy: options.conflict.into_wire(),
            memo: (!options.memo.is_empty()).then_some(raw::Memo { fields: options.memo }),
            workflow_start_delay: duration(options.start_delay),
            retry_policy: options.retry_policy.map(|policy| policy.to_wire()),
            cron_schedule: options.cron_schedule,
            user_metadata: options.summary.map(|summary| UserMetadata { summary: Some(summary), details: None }),
            ..Default::default()
        };
        let finds_none = signal.is_none() && options.conflict != WorkflowIdConflictPolicy::UseExisting;
        let client_of_call = &client;
        let sent = match signal {
            None => {
                let wants_task = options.eager && client.capabilities().eager_workflow_start;
                let taker = if wants_task { client.inner.eager_workers.reserve(&task_queue) } else { None };
                request.request_eager_execution = taker.is_some();
                let started = client.intercepted(call, |call| async move {
                    (request.input, request.header) = call.into_wire();
                    client_of_call.encode(&mut request).await?;
                    Ok(client_of_call.connection().call(request).await?)
                });
                started.await.map(|started: StartWorkflowExecutionResponse| {
                    if let (Some(take), Some(task)) = (taker, started.eager_workflow_task) {
                        take(task);
                    }
                    (started.run_id, started.first_execution_run_id)
                })
            }
            Some(signal) => {
                let started = client.intercepted(call, |call| async move {
                    (request.input, request.header) = call.into_wire();
                    let mut request = with_signal(request, signal);
                    client_of_call.encode(&mut request).await?;
                    Ok(client_of_call.connection().call(request).await?)
                });
                started.await.map(|started| (started.run_id, started.first_execution_run_id))
            }
        };
        match sent {
            Ok((run_id, first_run_id)) => {
                client.watch_queue(&task_queue, enums::TaskQueueType::Workflow);
                if let Some(failures) = client.failures() {
                    failures.run_started(&workflow_id, &run_id);
                }
                // Servers before 1.32 do not name the first run.
                let first_run_id = Some(first_run_id).filter(|first_run_id| !first_run_id.is_empty());
                let first_run_id = first_run_id.or_else(|| finds_none.then(|| run_id.clone()));
                Ok((WorkflowHandle::new(client, workflow_id), StartedRun { run_id, first_run_id, task_queue }))
            }
            Err(error) => Err(error.into_error(|error| start_error(workflow_id, error))),
        }
    }
}

impl<W: Workflow, Then> StartCall<W, Then> {
    /// Sends a signal together with the start, so that it is there before the workflow begins; where the workflow runs
    /// already, only the signal is sent.
    ///
    /// `client.start(OneClickBuy::run(purchase)).signal(|it| it.update_purchase(changed)).await?`
    pub fn signal(mut self, signal: impl FnOnce(&W::Handle<WithStart>) -> SignalCall<WithStart>) -> Self {
        let handle = WorkflowHandle::<W, WithStart>::new(WithStart(()), self.workflow_id.clone()).into();
        self.options.signal = Some(signal(&handle).input);
        self
    }
}

impl<Then> StartCall<Untyped, Then> {
    /// Sends a signal together with the start; where the workflow runs already, only the signal is sent.
    pub fn signal(mut self, name: impl Into<String>, input: Payloads) -> Self {
        let handle = WorkflowHandle::<Untyped, WithStart>::new(WithStart(()), self.workflow_id.clone());
        self.options.signal = Some(MessageInput::new(&handle, name.into(), Ok(input.into_raw())));
        self
    }
}

impl<W: Workflow> IntoFuture for StartCall<W> {
    type Output = Result<W::Handle<Client>, StartError>;
    type IntoFuture = SendFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (handle, run) = self.send().await?;
            Ok(handle.of_start(run).into())
        })
    }
}

impl IntoFuture for StartCall<Untyped> {
    type Output = Result<WorkflowHandle<Untyped>, StartError>;
    type IntoFuture = SendFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (handle, run) = self.send().await?;
            Ok(handle.of_start(run))
        })
    }
}

impl<W: Workflow> IntoFuture for StartCall<W, ForResult> {
    type Output = Result<W::Output, ExecuteError>;
    type IntoFuture = SendFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (handle, run) = self.send().await?;
            let handle = handle.of_start(run);
            let payload = handle.result_payload().await?;
            let misfit = |cause| ResultError::Decode {
                workflow_id: handle.workflow_id.clone(),
                cause: DecodeError::Result(cause),
            };
            Ok((W::OUTPUT.decode)(&payload).map_err(misfit)?)
        })
    }
}

fn with_signal(
    start: StartWorkflowExecutionRequest,
    (signal_name, signal_input): (String, Vec<raw::Payload>),
) -> SignalWithStartWorkflowExecutionRequest {
    SignalWithStartWorkflowExecutionRequest {
        namespace: start.namespace,
        workflow_id: start.workflow_id,
        workflow_type: start.workflow_type,
        task_queue: start.task_queue,
        input: start.input,
        workflow_execution_timeout: start.workflow_execution_timeout,
        workflow_run_timeout: start.workflow_run_timeout,
        workflow_task_timeout: start.workflow_task_timeout,
        identity: start.identity,
        request_id: start.request_id,
        workflow_id_reuse_policy: start.workflow_id_reuse_policy,
        workflow_id_conflict_policy: start.workflow_id_conflict_policy,
        signal_name,
        signal_input: payloads(signal_input),
        memo: start.memo,
        header: start.header,
        workflow_start_delay: start.workflow_start_delay,
        retry_policy: start.retry_policy,
        cron_schedule: start.cron_schedule,
        user_metadata: start.user_metadata,
        ..Default::default()
    }
}

fn start_error(workflow_id: String, error: RpcError) -> StartError {
    match error.code {
        RpcCode::AlreadyExists => {
            let detail = error.detail::<WorkflowExecutionAlreadyStartedFailure>().unwrap_or_default();
            StartError::AlreadyStarted { workflow_id, run_id: detail.run_id, message: error.message }
        }
        _ => StartError::Rpc(error),
    }
}

impl WorkflowIdReusePolicy {
    pub(crate) fn into_wire(self) -> i32 {
        use enums::WorkflowIdReusePolicy as Wire;
        match self {
            Self::AllowDuplicate => Wire::AllowDuplicate as i32,
            Self::AllowDuplicateFailedOnly => Wire::AllowDuplicateFailedOnly as i32,
            Self::RejectDuplicate => Wire::RejectDuplicate as i32,
        }
    }
}

impl WorkflowIdConflictPolicy {
    fn into_wire(self) -> i32 {
        use enums::WorkflowIdConflictPolicy as Wire;
        match self {
            Self::Unspecified => Wire::Unspecified as i32,
            Self::Fail => Wire::Fail as i32,
            Self::UseExisting => Wire::UseExisting as i32,
            Self::TerminateExisting => Wire::TerminateExisting as i32,
        }
    }
}
