//! The hooks around what a worker runs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::outgoing::OutgoingCommand;
use crate::activity::ActivityInfo;
use crate::data::{Headers, Payloads};
use crate::errors::{ActivityError, WorkflowError};
use crate::raw;

/// Runs around the code of a worker: around each attempt of an activity, around workflow code, and before commands of workflows leave.
///
/// Each method is given `next`, which runs the interceptors after this one and then the code itself: call it, look at its result,
/// change or replace it. A method that is not written passes on. Of several interceptors, the first one added to the worker is the
/// outermost.
///
/// One type can implement this trait and [`ClientInterceptor`](crate::client::ClientInterceptor): then it sees a call from the client
/// through the workflow to its activities. What travels between them are headers.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use everloop::ActivityError;
/// use everloop::raw;
/// use everloop::worker::{ActivityAttempt, NextActivity, OutgoingCommand, WorkerInterceptor};
///
/// tokio::task_local! {
///     /// The tenant on whose behalf an activity runs.
///     static TENANT: String;
/// }
///
/// /// Hands the tenant of a workflow on to everything that it starts, and counts the attempts that failed.
/// #[derive(Default)]
/// struct Tenants {
///     failed: AtomicU64,
/// }
///
/// impl WorkerInterceptor for Tenants {
///     async fn activity(
///         &self,
///         attempt: ActivityAttempt<'_>,
///         next: NextActivity<'_>,
///     ) -> Result<raw::Payload, ActivityError> {
///         let tenant = attempt.info.headers.get::<String>("tenant").and_then(Result::ok);
///         let tenant = tenant.ok_or_else(|| ActivityError::non_retryable("no tenant"))?;
///         let result = TENANT.scope(tenant, next.run(attempt)).await;
///         if result.is_err() {
///             self.failed.fetch_add(1, Ordering::Relaxed);
///         }
///         result
///     }
///
///     fn outgoing(&self, command: &mut OutgoingCommand<'_>) {
///         command.pass_on("tenant");
///     }
/// }
/// ```
pub trait WorkerInterceptor: Send + Sync + 'static {
    /// Runs around an attempt of an activity. An error is the outcome of the attempt, and a panic fails it.
    ///
    /// An `async fn` activity runs within the future that `next` makes: a span or a task-local around it is seen by the activity. A
    /// blocking activity runs on a thread of its own.
    fn activity(
        &self,
        attempt: ActivityAttempt<'_>,
        next: NextActivity<'_>,
    ) -> impl Future<Output = Result<raw::Payload, ActivityError>> + Send {
        next.run(attempt)
    }

    /// Runs around `run`, and around the handler of each signal and update.
    ///
    /// This is workflow code: it runs again on replay (in a test environment also for the replay check) and must do the same then, so it reads no clock and calls nobody outside. It may
    /// use the functions of [`workflow`](mod@crate::workflow), such as `info`, `now` and `sleep`; commands that it issues are part of the
    /// history. For metrics and logs, [`is_replaying`](crate::workflow::is_replaying) says whether it has happened before. A panic
    /// fails the workflow task. The result of a signal's handler is `()`.
    fn workflow(
        &self,
        call: InboundCall<'_>,
        next: NextHandler<'_>,
    ) -> impl Future<Output = Result<raw::Payload, WorkflowError>> {
        next.run(call)
    }

    /// Runs around the handler of each query and the validator of each update. It only reads, as they do. The result of a validator is
    /// `()`, and an error rejects the update.
    fn query(&self, call: InboundCall<'_>, next: NextQuery<'_>) -> Result<raw::Payload, WorkflowError> {
        next.run(call)
    }

    /// Sees a command of a workflow that leaves for the first time, and adds headers to it; also a local activity, of which the
    /// incoming headers are those of the workflow's start. It is not called on replay. It only reads,
    /// as a query does.
    fn outgoing(&self, command: &mut OutgoingCommand<'_>) {
        let _ = command;
    }
}

/// An attempt of an activity that is about to begin.
#[derive(Debug)]
#[non_exhaustive]
pub struct ActivityAttempt<'a> {
    /// Facts about it, among them its headers.
    pub info: &'a ActivityInfo,
    /// Its inputs.
    pub input: Payloads,
}

/// A call that reaches workflow code.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct InboundCall<'a> {
    /// The kind of code that is called.
    pub kind: InboundKind,
    /// The name of the signal, the query or the update; of the workflow type for `run`.
    pub name: &'a str,
    /// The headers of the message; those of the start for `run`.
    pub headers: &'a Headers,
    /// Its inputs.
    pub input: &'a Payloads,
}

/// The kind of workflow code that a call reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InboundKind {
    /// The method with `#[run]`.
    Run,
    /// The handler of a signal.
    Signal,
    /// The handler of an update that was accepted.
    Update,
    /// The validator of an update.
    Validator,
    /// The handler of a query.
    Query,
}

pub(crate) type SharedInterceptor = Arc<dyn DynWorkerInterceptor>;
/// The result of an attempt, later.
pub(crate) type Attempted<'a> = Pin<Box<dyn Future<Output = Result<raw::Payload, ActivityError>> + Send + 'a>>;
type Handled<'a> = Pin<Box<dyn Future<Output = Result<raw::Payload, WorkflowError>> + 'a>>;

/// The activity itself, inside of all interceptors.
pub(super) trait Innermost: Send {
    fn start<'a>(self: Box<Self>, input: Payloads) -> Attempted<'a>
    where
        Self: 'a;
}

/// The interceptors that come after one, and the activity.
pub struct NextActivity<'a> {
    rest: &'a [SharedInterceptor],
    activity: Box<dyn Innermost + 'a>,
}

impl<'a> NextActivity<'a> {
    pub(super) fn new(interceptors: &'a [SharedInterceptor], activity: impl Innermost + 'a) -> Self {
        Self { rest: interceptors, activity: Box::new(activity) }
    }

    /// Runs them. Returns the result of the attempt.
    pub async fn run(self, attempt: ActivityAttempt<'_>) -> Result<raw::Payload, ActivityError> {
        match self.rest.split_first() {
            Some((first, rest)) => first.activity_boxed(attempt, NextActivity { rest, ..self }).await,
            None => self.activity.start(attempt.input).await,
        }
    }
}

/// The interceptors that come after one, and the `run` or the handler of a workflow.
pub struct NextHandler<'a> {
    rest: &'a [SharedInterceptor],
    handler: Handled<'a>,
}

impl<'a> NextHandler<'a> {
    pub(super) fn new(interceptors: &'a [SharedInterceptor], handler: Handled<'a>) -> Self {
        Self { rest: interceptors, handler }
    }

    /// Runs them. Returns the result of the handler.
    pub async fn run(self, call: InboundCall<'_>) -> Result<raw::Payload, WorkflowError> {
        match self.rest.split_first() {
            Some((first, rest)) => first.workflow_boxed(call, NextHandler { rest, ..self }).await,
            None => self.handler.await,
        }
    }
}

/// The interceptors that come after one, and the handler of a query or the validator of an update.
pub struct NextQuery<'a> {
    rest: &'a [SharedInterceptor],
    handler: Box<dyn FnOnce() -> Result<raw::Payload, WorkflowError> + 'a>,
}

impl<'a> NextQuery<'a> {
    pub(super) fn new(
        interceptors: &'a [SharedInterceptor],
        handler: impl FnOnce() -> Result<raw::Payload, WorkflowError> + 'a,
    ) -> Self {
        Self { rest: interceptors, handler: Box::new(handler) }
    }

    /// Runs them. Returns the result of the handler.
    pub fn run(self, call: InboundCall<'_>) -> Result<raw::Payload, WorkflowError> {
        match self.rest.split_first() {
            Some((first, rest)) => first.query_inside(call, NextQuery { rest, ..self }),
            None => (self.handler)(),
        }
    }
}

/// [`WorkerInterceptor`] behind a pointer.
pub(crate) trait DynWorkerInterceptor: Send + Sync {
    fn activity_boxed<'a>(&'a self, attempt: ActivityAttempt<'a>, next: NextActivity<'a>) -> Attempted<'a>;
    fn workflow_boxed<'a>(&'a self, call: InboundCall<'a>, next: NextHandler<'a>) -> Handled<'a>;
    fn query_inside(&self, call: InboundCall<'_>, next: NextQuery<'_>) -> Result<raw::Payload, WorkflowError>;
    fn see_outgoing(&self, command: &mut OutgoingCommand<'_>);
}

impl<I: WorkerInterceptor> DynWorkerInterceptor for I {
    fn activity_boxed<'a>(&'a self, attempt: ActivityAttempt<'a>, next: NextActivity<'a>) -> Attempted<'a> {
        Box::pin(self.activity(attempt, next))
    }
    fn workflow_boxed<'a>(&'a self, call: InboundCall<'a>, next: NextHandler<'a>) -> Handled<'a> {
        Box::pin(self.workflow(call, next))
    }
    fn query_inside(&self, call: InboundCall<'_>, next: NextQuery<'_>) -> Result<raw::Payload, WorkflowError> {
        self.query(call, next)
    }
    fn see_outgoing(&self, command: &mut OutgoingCommand<'_>) {
        self.outgoing(command);
    }
}
