//! Child workflows: calls of other workflows in workflow code.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use everloop_proto::temporal::api::command::v1::StartChildWorkflowExecutionCommandAttributes;
use serde::Serialize;

use super::definition::{Workflow, WorkflowCall};
use super::external::{SignalSent, signal};
use crate::client::{SignalCall, Target, WorkflowHandle, WorkflowIdReusePolicy};
use crate::data::{
    ChildCancellationType, DecodeError, EncodeError, Failure, FailureKind, Headers, OptionError, ParentClosePolicy,
    RetryPolicy, RetryState, check_limit, duration_to_wire, encode,
};
use crate::errors::ChildFailure;
use crate::executor::current::current;
use crate::executor::{ChildRequest, Core, OnDrop, OperationId, Outcome, Pending, SharedCore, WorkflowOnly};
use crate::raw;

/// A child workflow with its arguments and options. See [`WorkflowCall`].
#[must_use = "a child workflow is not started until the call is awaited or started"]
pub struct ChildCall<W: Workflow> {
    args: W::Args,
    site: &'static Location<'static>,
    options: Box<ChildOptions>,
}

#[derive(Default)]
struct ChildOptions {
    workflow_id: Option<String>,
    task_queue: Option<String>,
    cancellation: ChildCancellationType,
    parent_close_policy: ParentClosePolicy,
    reuse: WorkflowIdReusePolicy,
    execution_timeout: Option<Duration>,
    run_timeout: Option<Duration>,
    task_timeout: Option<Duration>,
    retry_policy: Option<RetryPolicy>,
    memo: HashMap<String, raw::Payload>,
    headers: Headers,
    summary: Option<String>,
    /// The first value that could not be serialized.
    misfit: Option<EncodeError>,
}

impl ChildOptions {
    fn check(&self) -> Result<(), OptionError> {
        check_limit("execution_timeout", self.execution_timeout)?;
        check_limit("run_timeout", self.run_timeout)?;
        check_limit("task_timeout", self.task_timeout)?;
        self.retry_policy.as_ref().map_or(Ok(()), RetryPolicy::check)
    }
}

/// The options of a child, on a call and on a call that has options.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $kind:ty),*) $(where $V:ident)? { $options:ident => $set:expr })*) => {
        impl<W: Workflow> ChildCall<W> {
            $($(#[$doc])* pub fn $name$(<$V: Serialize + 'static>)?(mut self, $($arg: $kind),*) -> Self {
                let $options = &mut self.options;
                $set;
                self
            })*
        }

        impl<W: Workflow> WorkflowCall<W> {
            $($(#[$doc])*
            ///
            /// Of a child workflow: the call is for workflow code from here on, where it is awaited or started.
            #[track_caller]
            pub fn $name$(<$V: Serialize + 'static>)?(self, $($arg: $kind),*) -> ChildCall<W> {
                self.into_child().$name($($arg),*)
            })*
        }
    };
}

options! {
    /// Sets the child's workflow id. The default is random, and the same on replay.
    id(id: impl Into<String>) { options => options.workflow_id = Some(id.into()) }
    /// Sets the queue whose workers run the child. The default is the workflow's own.
    task_queue(name: impl Into<String>) { options => options.task_queue = Some(name.into()) }
    /// Sets what happens to the child when this workflow ends. The default is that the child is terminated.
    parent_close_policy(policy: ParentClosePolicy) { options => options.parent_close_policy = policy }
    /// Sets the effect of a cancellation. The default is to request the cancellation of the child and to wait for its end.
    cancellation_type(cancellation: ChildCancellationType) { options => options.cancellation = cancellation }
    /// Sets the policy for an id that belonged to a workflow that has ended.
    id_reuse_policy(policy: WorkflowIdReusePolicy) { options => options.reuse = policy }
    /// Sets the policy for further runs of the child after a failure. The default is no further run.
    retry_policy(policy: RetryPolicy) { options => options.retry_policy = Some(policy) }
    /// Limits the time of the child with all its further runs.
    execution_timeout(limit: Duration) { options => options.execution_timeout = Some(limit) }
    /// Limits the time of one run of the child.
    run_timeout(limit: Duration) { options => options.run_timeout = Some(limit) }
    /// Limits the time that a worker may take for one workflow task of the child.
    task_timeout(limit: Duration) { options => options.task_timeout = Some(limit) }
    /// Adds a value that lists and descriptions of the child show.
    memo(name: impl Into<String>, value: &V) where V {
        options => {
            let name = name.into();
            match encode(value) {
                Ok(value) => drop(options.memo.insert(name, value)),
                Err(error) => drop(options.misfit.get_or_insert(error.of(format!("memo `{name}`")))),
            }
        }
    }
    /// Sets the headers of the child's start.
    headers(headers: Headers) { options => options.headers = headers }
    /// Sets a line for readers of the workflow's history.
    summary(text: impl Into<String>) { options => options.summary = Some(text.into()) }
}

impl<W: Workflow> WorkflowCall<W> {
    #[track_caller]
    fn into_child(self) -> ChildCall<W> {
        ChildCall { args: self.args, site: Location::caller(), options: Box::default() }
    }

    /// Starts the workflow as a child of this one. Awaiting it returns the child's handle as soon as the child has started.
    ///
    /// Dropping the handle leaves the child running; when this workflow ends, the
    /// [`parent_close_policy`](Self::parent_close_policy) decides.
    ///
    /// # Panics
    /// Outside a workflow.
    #[track_caller]
    pub fn start(self) -> ChildStart<W> {
        self.into_child().start()
    }
}

impl<W: Workflow> IntoFuture for WorkflowCall<W> {
    type Output = Result<W::Output, ChildFailure>;
    type IntoFuture = ChildFuture<W>;

    #[track_caller]
    fn into_future(self) -> ChildFuture<W> {
        self.into_child().into_future()
    }
}

impl<W: Workflow> IntoFuture for ChildCall<W> {
    type Output = Result<W::Output, ChildFailure>;
    type IntoFuture = ChildFuture<W>;

    fn into_future(self) -> ChildFuture<W> {
        ChildFuture { state: State::New(self), _only: PhantomData }
    }
}

impl<W: Workflow> ChildCall<W> {
    /// Starts the child. Awaiting it returns the child's handle as soon as the child has started.
    ///
    /// # Panics
    /// Outside a workflow.
    #[track_caller]
    pub fn start(self) -> ChildStart<W> {
        let core = current_for::<W>();
        let (operation, workflow_id) = begin(&core, self);
        let pending = Some(Pending::new(core, operation, OnDrop::Cancel));
        ChildStart { pending, workflow_id, _workflow: PhantomData, _only: PhantomData }
    }
}

/// A child workflow that is awaited: started at its first poll, cancelled by its type when dropped before it ends.
#[must_use = "a child workflow is not started until it is awaited"]
pub struct ChildFuture<W: Workflow> {
    state: State<W>,
    _only: WorkflowOnly,
}

enum State<W: Workflow> {
    New(ChildCall<W>),
    Running(Pending),
    Done,
}

// Nothing in it is ever pinned.
impl<W: Workflow> Unpin for ChildFuture<W> {}

impl<W: Workflow> Future for ChildFuture<W> {
    type Output = Result<W::Output, ChildFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::New(_) = &self.state {
            let core = current_for::<W>();
            if core.take_cancellation(core.scope()) {
                self.state = State::Done;
                return Poll::Ready(Err(cancelled_before::<W>()));
            }
            let State::New(call) = std::mem::replace(&mut self.state, State::Done) else { unreachable!() };
            let (operation, _) = begin(&core, call);
            self.state = State::Running(Pending::new(core, operation, OnDrop::Cancel));
        }
        let State::Running(pending) = &mut self.state else { panic!("a child workflow was polled after it ended") };
        let polled = poll_result::<W>(pending, cx);
        if polled.is_ready() {
            self.state = State::Done;
        }
        polled
    }
}

/// A child workflow that is being started. Dropped before the child has started, it cancels the child by its type.
#[must_use = "the handle of a child workflow comes when its start is awaited"]
pub struct ChildStart<W: Workflow> {
    /// Until the child has started, or has not.
    pending: Option<Pending>,
    workflow_id: String,
    _workflow: PhantomData<fn() -> W>,
    _only: WorkflowOnly,
}

// Nothing in it is ever pinned.
impl<W: Workflow> Unpin for ChildStart<W> {}

impl<W: Workflow> Future for ChildStart<W> {
    type Output = Result<W::Handle<Child>, ChildFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut pending = self.pending.take().expect("the start of a child workflow was polled after it ended");
        match pending.poll(cx.waker()) {
            Poll::Pending => {
                self.pending = Some(pending);
                Poll::Pending
            }
            Poll::Ready(Outcome::Started { run_id }) => {
                pending.set_on_drop(OnDrop::Detach);
                let workflow_id = std::mem::take(&mut self.workflow_id);
                let child = Child { pending: Rc::new(RefCell::new(pending)) };
                Poll::Ready(Ok(WorkflowHandle::<W, Child>::from_workflow(child, workflow_id, Some(run_id)).into()))
            }
            Poll::Ready(Outcome::Returned(Err(failure))) => Poll::Ready(Err(ChildFailure::new(*failure))),
            Poll::Ready(Outcome::Returned(Ok(_)) | Outcome::Ready | Outcome::Cancelled) => {
                Poll::Ready(Err(cancelled_before::<W>()))
            }
        }
    }
}

/// Where the handle of a child workflow reaches it from: the workflow that started it.
#[derive(Clone)]
pub struct Child {
    pending: Rc<RefCell<Pending>>,
}
impl Target for Child {}

impl<W: Workflow> WorkflowHandle<W, Child> {
    /// Waits for the end of the child, and returns its output. It can be awaited once.
    pub fn result(&self) -> ChildResult<W> {
        ChildResult { child: self.target.clone(), _workflow: PhantomData }
    }

    /// Cancels the child, by its cancellation type.
    pub fn cancel(&self) {
        self.target.pending.borrow().cancel();
    }
}

/// See [`WorkflowHandle::result`]. Dropping it leaves the child running.
#[must_use = "nothing waits until it is awaited"]
pub struct ChildResult<W: Workflow> {
    child: Child,
    _workflow: PhantomData<fn() -> W>,
}

impl<W: Workflow> Future for ChildResult<W> {
    type Output = Result<W::Output, ChildFailure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut pending = self.child.pending.borrow_mut();
        assert!(
            !pending.is_done(),
            "the result of child workflow `{}` was awaited again after it came: keep the result of the first await",
            W::NAME
        );
        poll_result::<W>(&mut pending, cx)
    }
}

impl IntoFuture for SignalCall<Child> {
    type Output = Result<(), crate::errors::WorkflowError>;
    type IntoFuture = SignalSent;

    #[track_caller]
    fn into_future(self) -> SignalSent {
        signal(self.into_input(), true)
    }
}

#[track_caller]
fn current_for<W: Workflow>() -> SharedCore {
    let name = W::NAME;
    current(&format!("{name}::run(..)"), &format!("in a program start it with `client.start({name}::run(..))`"))
}

/// Begins the operation; returns it with the child's workflow id.
fn begin<W: Workflow>(core: &Core, call: ChildCall<W>) -> (OperationId, String) {
    let ChildCall { args, site, options } = call;
    let mut options = *options;
    if let (Err(error), false) = (options.check(), core.is_replaying()) {
        panic!("child workflow `{}`, called at {site}: {error}", W::NAME);
    }
    let workflow_id = options.workflow_id.take().unwrap_or_else(|| super::operations::uuid().to_string());
    let id = workflow_id.clone();
    let request = ChildRequest {
        workflow_type: W::NAME,
        workflow_id: workflow_id.clone(),
        cancellation: options.cancellation,
        summary: options.summary.take(),
        command: move || command::<W>(&args, id, options, site),
    };
    (core.begin(request, core.scope(), site), workflow_id)
}

fn command<W: Workflow>(
    args: &W::Args,
    workflow_id: String,
    options: ChildOptions,
    site: &Location<'_>,
) -> StartChildWorkflowExecutionCommandAttributes {
    let input = match options.misfit.map_or_else(|| W::ARGUMENTS.encode(args), Err) {
        Ok(input) => input,
        Err(error) => panic!("child workflow `{}`, called at {site}: {error}", W::NAME),
    };
    let duration = |limit: Option<Duration>| limit.map(duration_to_wire);
    StartChildWorkflowExecutionCommandAttributes {
        workflow_id,
        workflow_type: Some(raw::WorkflowType { name: W::NAME.to_owned() }),
        task_queue: Some(raw::TaskQueue { name: options.task_queue.unwrap_or_default(), ..Default::default() }),
        input: (!input.is_empty()).then_some(raw::Payloads { payloads: input }),
        workflow_execution_timeout: duration(options.execution_timeout),
        workflow_run_timeout: duration(options.run_timeout),
        workflow_task_timeout: duration(options.task_timeout),
        parent_close_policy: options.parent_close_policy.to_wire() as i32,
        workflow_id_reuse_policy: options.reuse.into_wire(),
        retry_policy: options.retry_policy.map(|policy| policy.to_wire()),
        memo: (!options.memo.is_empty()).then_some(raw::Memo { fields: options.memo }),
        header: options.headers.into_wire(),
        ..Default::default()
    }
}

fn poll_result<W: Workflow>(pending: &mut Pending, cx: &mut Context<'_>) -> Poll<Result<W::Output, ChildFailure>> {
    loop {
        return match pending.poll(cx.waker()) {
            Poll::Pending => Poll::Pending,
            // The end follows.
            Poll::Ready(Outcome::Started { .. }) => continue,
            Poll::Ready(Outcome::Returned(Ok(result))) => Poll::Ready(decode::<W>(result)),
            Poll::Ready(Outcome::Returned(Err(failure))) => Poll::Ready(Err(ChildFailure::new(*failure))),
            Poll::Ready(Outcome::Ready | Outcome::Cancelled) => Poll::Ready(Err(cancelled_before::<W>())),
        };
    }
}

fn decode<W: Workflow>(result: Option<raw::Payload>) -> Result<W::Output, ChildFailure> {
    W::OUTPUT.decode_result(result).map_err(|cause| {
        let cause = Failure::application("DecodeError", DecodeError::Result(cause).to_string());
        failure::<W>("the result of the child workflow does not fit", cause)
    })
}

/// The failure of a child that was never started.
fn cancelled_before<W: Workflow>() -> ChildFailure {
    failure::<W>("the child workflow was cancelled", Failure::cancelled("cancelled before it was started"))
}

fn failure<W: Workflow>(message: &str, cause: Failure) -> ChildFailure {
    let kind = FailureKind::ChildWorkflow {
        workflow_type: W::NAME.to_owned(),
        workflow_id: String::new(),
        run_id: String::new(),
        retry_state: RetryState::Unspecified,
    };
    ChildFailure::new(Failure::new(message, kind).caused_by(cause))
}
