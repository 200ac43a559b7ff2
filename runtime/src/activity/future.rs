//! Futures and handles of activities.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::call::ActivityCall;
use super::definition::Activity;
use super::local::LocalActivityCall;
use crate::data::{DecodeError, Failure};
use crate::errors::ActivityFailure;
use crate::executor::current::current;
use crate::executor::{
    ActivityRequest, Core, LocalActivityRequest, OnDrop, OperationId, Outcome, Pending, SharedCore, WorkflowOnly,
};

/// An awaited activity call. The first poll schedules the activity; a drop before its end cancels it, according to its
/// cancellation type.
#[must_use = "nothing is scheduled until it is awaited"]
pub struct ActivityFuture<A: Activity> {
    state: CallState<A>,
    _only: WorkflowOnly,
}

enum CallState<A: Activity> {
    New(Box<AnyCall<A>>),
    Running(Pending),
    Done,
}

/// A call, with its place.
enum AnyCall<A: Activity> {
    Queued(ActivityCall<A>),
    Local(LocalActivityCall<A>),
}

// No field is ever pinned.
impl<A: Activity> Unpin for ActivityFuture<A> {}

impl<A: Activity> IntoFuture for ActivityCall<A> {
    type Output = Result<A::Output, A::Error>;
    type IntoFuture = ActivityFuture<A>;

    fn into_future(self) -> ActivityFuture<A> {
        ActivityFuture { state: CallState::New(AnyCall::Queued(self).into()), _only: PhantomData }
    }
}

impl<A: Activity> IntoFuture for LocalActivityCall<A> {
    type Output = Result<A::Output, A::Error>;
    type IntoFuture = ActivityFuture<A>;

    fn into_future(self) -> ActivityFuture<A> {
        ActivityFuture { state: CallState::New(AnyCall::Local(self).into()), _only: PhantomData }
    }
}

impl<A: Activity> Future for ActivityFuture<A> {
    type Output = Result<A::Output, A::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let CallState::New(_) = &self.state {
            let core = current_for::<A>("awaited");
            if core.take_cancellation(core.scope()) {
                self.state = CallState::Done;
                return Poll::Ready(Err(cancelled_before::<A>().into()));
            }
            let CallState::New(call) = std::mem::replace(&mut self.state, CallState::Done) else { unreachable!() };
            let id = call.schedule(&core);
            self.state = CallState::Running(Pending::new(core, id, OnDrop::Cancel));
        }
        let CallState::Running(pending) = &mut self.state else { panic!("an activity was polled after it ended") };
        let polled = poll_pending::<A>(pending, cx);
        if polled.is_ready() {
            self.state = CallState::Done;
        }
        polled
    }
}

/// A scheduled activity. Awaiting it returns the result; dropping it has no effect.
#[must_use = "an activity handle gives the result when it is awaited; `drop` it if the result does not matter"]
pub struct ActivityHandle<A: Activity> {
    pending: Pending,
    _activity: PhantomData<fn() -> A>,
    _only: WorkflowOnly,
}

impl<A: Activity> ActivityCall<A> {
    /// Schedules the activity now. Awaiting the handle returns the result; dropping the handle has no effect.
    ///
    /// # Panics
    /// Outside a workflow.
    #[track_caller]
    pub fn start(self) -> ActivityHandle<A> {
        ActivityHandle::start(AnyCall::Queued(self))
    }
}

impl<A: Activity> LocalActivityCall<A> {
    /// Starts the activity now. Awaiting the handle returns the result; dropping the handle has no effect. The workflow task stays
    /// open until the activity has ended, whether its result is awaited or not.
    ///
    /// # Panics
    /// Outside a workflow.
    #[track_caller]
    pub fn start(self) -> ActivityHandle<A> {
        ActivityHandle::start(AnyCall::Local(self))
    }
}

impl<A: Activity> ActivityHandle<A> {
    #[track_caller]
    fn start(call: AnyCall<A>) -> Self {
        let core = current_for::<A>("started");
        let id = call.schedule(&core);
        Self { pending: Pending::new(core, id, OnDrop::Detach), _activity: PhantomData, _only: PhantomData }
    }

    /// Cancels the activity, according to its cancellation type.
    pub fn cancel(&self) {
        self.pending.cancel();
    }

    /// Cancels the activity if the handle is dropped before the activity has ended.
    pub fn cancel_on_drop(mut self) -> Self {
        self.pending.set_on_drop(OnDrop::Cancel);
        self
    }
}

impl<A: Activity> Future for ActivityHandle<A> {
    type Output = Result<A::Output, A::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let name = A::NAME;
        assert!(
            !self.pending.is_done(),
            "the handle of activity `{name}` was awaited again after it gave its result: keep the result of the first await"
        );
        poll_pending::<A>(&mut self.pending, cx)
    }
}

#[track_caller]
fn current_for<A: Activity>(deed: &str) -> SharedCore {
    let name = A::NAME;
    let instead = format!("it was {deed} outside one; in a test run it with `ActivityEnvironment::run({name}(..))`");
    current(&format!("{name}(..)"), &instead)
}

impl<A: Activity> AnyCall<A> {
    #[track_caller]
    fn schedule(self, core: &Core) -> OperationId {
        match self {
            Self::Queued(ActivityCall { args, settings, site }) => {
                let request = ActivityRequest {
                    activity_type: A::NAME,
                    options: settings.options,
                    attribute: A::OPTIONS,
                    task_queue: settings.task_queue,
                    activity_id: settings.activity_id,
                    summary: settings.summary,
                    input: || encoded::<A>(&args, site),
                };
                core.begin(request, core.scope(), site)
            }
            Self::Local(local) => {
                let LocalActivityCall { call: ActivityCall { args, settings, site }, retry_threshold } = local;
                let request = LocalActivityRequest {
                    activity_type: A::NAME,
                    options: settings.options,
                    attribute: A::OPTIONS,
                    local_retry_threshold: retry_threshold,
                    activity_id: settings.activity_id,
                    summary: settings.summary,
                };
                core.begin_local(request, || encoded::<A>(&args, site), core.scope(), site)
            }
        }
    }
}

#[track_caller]
fn encoded<A: Activity>(args: &A::Args, site: &'static Location<'static>) -> Vec<crate::raw::Payload> {
    match A::ARGUMENTS.encode(args) {
        Ok(input) => input,
        Err(error) => panic!("activity `{}`, called at {site}: {error}", A::NAME),
    }
}

fn poll_pending<A: Activity>(pending: &mut Pending, cx: &mut Context<'_>) -> Poll<Result<A::Output, A::Error>> {
    let result = |outcome| match outcome {
        Outcome::Returned(Ok(result)) => decode::<A>(result),
        Outcome::Returned(Err(failure)) => Err(ActivityFailure::new(*failure)),
        Outcome::Ready | Outcome::Started { .. } | Outcome::Cancelled => Err(cancelled_before::<A>()),
    };
    pending.poll(cx.waker()).map(|outcome| result(outcome).map_err(A::Error::from))
}

fn decode<A: Activity>(result: Option<crate::raw::Payload>) -> Result<A::Output, ActivityFailure> {
    A::OUTPUT.decode_result(result).map_err(|cause| {
        let cause = Failure::application("DecodeError", DecodeError::Result(cause).to_string());
        ActivityFailure::new(activity_failure::<A>("the activity's result does not fit").caused_by(cause))
    })
}

/// The failure of an activity that was never scheduled.
fn cancelled_before<A: Activity>() -> ActivityFailure {
    let cause = Failure::cancelled("cancelled before it was scheduled");
    ActivityFailure::new(activity_failure::<A>("the activity was cancelled").caused_by(cause))
}

fn activity_failure<A: Activity>(message: &str) -> Failure {
    Failure::new(
        message,
        crate::data::FailureKind::Activity {
            activity_type: A::NAME.to_owned(),
            activity_id: String::new(),
            retry_state: crate::data::RetryState::Unspecified,
            scheduled_event_id: 0,
            started_event_id: 0,
            identity: String::new(),
        },
    )
}
