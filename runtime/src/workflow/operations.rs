//! Time, conditions, randomness and facts about the run.

use std::future::Future;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::errors::Cancelled;
use crate::executor::current::{current, try_current};
use crate::executor::{OnDrop, Outcome, Pending, Random, ScopeId, TimerRequest, WorkflowInfo, WorkflowOnly};

// ---- time ----

/// Waits durably: the server keeps the timer, even if this process ends.
///
/// The timer starts when the future is first polled, and is cancelled when a pending future is dropped. A sleep of zero length
/// is a timer; [`yield_now`] is not.
///
/// # Errors
/// [`Cancelled`] if the workflow is cancelled meanwhile.
///
/// # Panics
/// Outside a workflow, when awaited.
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep {
        state: SleepState::New { wait: Wait::For(duration), summary: None },
        site: Location::caller(),
        _only: PhantomData,
    }
}

/// Waits durably until a time, which must be taken from [`now`] or from the workflow's inputs. A time that has passed is a
/// timer of zero length.
///
/// # Errors
/// [`Cancelled`] if the workflow is cancelled meanwhile.
#[track_caller]
pub fn sleep_until(time: SystemTime) -> Sleep {
    Sleep {
        state: SleepState::New { wait: Wait::Until(time), summary: None },
        site: Location::caller(),
        _only: PhantomData,
    }
}

/// See [`sleep`].
#[must_use = "a timer does not start until it is awaited"]
pub struct Sleep {
    state: SleepState,
    site: &'static Location<'static>,
    _only: WorkflowOnly,
}

enum Wait {
    For(Duration),
    Until(SystemTime),
}

enum SleepState {
    New { wait: Wait, summary: Option<String> },
    Running(Pending),
    Done,
}

impl Sleep {
    /// Sets a line for readers of the workflow's history.
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        if let SleepState::New { summary, .. } = &mut self.state {
            *summary = Some(text.into());
        }
        self
    }

    pub(super) fn poll_in(&mut self, scope: Option<ScopeId>, cx: &mut Context<'_>) -> Poll<Result<(), Cancelled>> {
        if let SleepState::New { wait, summary } = &mut self.state {
            let core = current("sleep", "elsewhere use `tokio::time::sleep`");
            let scope = scope.unwrap_or_else(|| core.scope());
            if core.take_cancellation(scope) {
                self.state = SleepState::Done;
                return Poll::Ready(Err(Cancelled));
            }
            let duration = match *wait {
                Wait::For(duration) => duration,
                Wait::Until(time) => time.duration_since(core.now()).unwrap_or_default(),
            };
            let id = core.begin(TimerRequest { duration, summary: summary.take() }, scope, self.site);
            self.state = SleepState::Running(Pending::new(core, id, OnDrop::Cancel));
        }
        let SleepState::Running(pending) = &mut self.state else { panic!("a timer was polled after it ended") };
        match pending.poll(cx.waker()) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(outcome) => {
                self.state = SleepState::Done;
                Poll::Ready(if outcome == Outcome::Ready { Ok(()) } else { Err(Cancelled) })
            }
        }
    }
}

impl Future for Sleep {
    type Output = Result<(), Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_in(None, cx)
    }
}

/// The time of the current workflow task. It is constant within a task, and the same on replay.
///
/// # Panics
/// Outside a workflow.
#[track_caller]
pub fn now() -> SystemTime {
    current("now", "elsewhere use `SystemTime::now`").now()
}

// ---- conditions ----

/// Waits until a condition holds. The condition is evaluated at once, then after every step of the workflow, and again before
/// the waiting code continues, so it holds when the wait is over.
///
/// The condition may read everything (fields, [`now`], [`all_handlers_finished`]) and must change nothing. To wait for one
/// field, [`State::wait`](crate::State::wait) costs less.
///
/// # Errors
/// [`Cancelled`] if the workflow is cancelled meanwhile.
pub fn wait_condition<F: Fn() -> bool>(condition: F) -> WaitCondition<F> {
    WaitCondition { condition, pending: None, _only: PhantomData }
}

/// See [`wait_condition`].
#[must_use = "nothing waits until it is awaited"]
pub struct WaitCondition<F> {
    condition: F,
    pending: Option<Pending>,
    _only: WorkflowOnly,
}

// No field is ever pinned.
impl<F> Unpin for WaitCondition<F> {}

impl<F: Fn() -> bool> Future for WaitCondition<F> {
    type Output = Result<(), Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let core = current("wait_condition", "elsewhere use a channel or `tokio::sync::watch`");
        if let Some(pending) = &mut self.pending {
            if pending.poll(cx.waker()).is_ready() {
                self.pending = None;
                return Poll::Ready(Err(Cancelled));
            }
        } else if core.take_cancellation(core.scope()) {
            return Poll::Ready(Err(Cancelled));
        }
        if core.reading("a condition", &self.condition) {
            if let Some(pending) = self.pending.take() {
                core.condition_met(pending.id());
            }
            return Poll::Ready(Ok(()));
        }
        let pending = self.pending.get_or_insert_with(|| {
            let id = core.wait_locally(core.scope());
            Pending::new(core.clone(), id, OnDrop::Detach)
        });
        core.register_condition(pending.id(), cx.waker());
        pending.poll(cx.waker()).map(|_| Err(Cancelled))
    }
}

/// Whether no signal or update handler is running. A workflow should wait for this before `run` returns:
/// `wait_condition(workflow::all_handlers_finished).await?`.
///
/// # Panics
/// Outside a workflow.
#[track_caller]
pub fn all_handlers_finished() -> bool {
    current("all_handlers_finished", "there are no handlers elsewhere").handlers_running() == 0
}

/// Runs the other ready coroutines of this workflow before the caller continues. Adds no timer and no event.
pub fn yield_now() -> YieldNow {
    YieldNow { has_yielded: false, _only: PhantomData }
}

/// See [`yield_now`].
#[must_use = "nothing is yielded until it is awaited"]
pub struct YieldNow {
    has_yielded: bool,
    _only: WorkflowOnly,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

// ---- cancellation ----

/// Whether the workflow, or the scope of the caller, was cancelled. Once true, the value stays true.
///
/// # Panics
/// Outside a workflow.
#[track_caller]
pub fn is_cancelled() -> bool {
    let core = current("is_cancelled", "in an activity use `ActivityContext::is_cancelled`");
    core.is_cancelled(core.scope())
}

/// Waits until the workflow, or the scope of the caller, is cancelled. With [`select!`](crate::select), this interrupts waits
/// that a cancellation does not end, such as for a channel.
pub fn cancelled() -> CancelledFuture {
    CancelledFuture { pending: None, _only: PhantomData }
}

/// See [`cancelled`].
#[must_use = "nothing waits until it is awaited"]
pub struct CancelledFuture {
    pending: Option<Pending>,
    _only: WorkflowOnly,
}

impl Future for CancelledFuture {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let core = current("cancelled", "in an activity use `ActivityContext::cancelled`");
        if self.pending.is_none() {
            let scope = core.scope();
            core.take_cancellation(scope);
            if core.is_cancelled(scope) {
                return Poll::Ready(());
            }
            let id = core.wait_for_cancellation(scope);
            self.pending = Some(Pending::new(core, id, OnDrop::Detach));
        }
        let Some(pending) = &mut self.pending else { return Poll::Pending };
        if pending.poll(cx.waker()).is_pending() {
            return Poll::Pending;
        }
        // A scope stays cancelled, so a later poll returns at once.
        self.pending = None;
        Poll::Ready(())
    }
}

// ---- facts and randomness ----

/// Facts about the workflow's run.
///
/// # Panics
/// Outside a workflow.
#[track_caller]
pub fn info() -> Rc<WorkflowInfo> {
    current("info", "in an activity use `ActivityContext::info`").info()
}

/// The workflow itself, for coroutines of [`spawn`](crate::workflow::spawn), which cannot borrow.
///
/// # Panics
/// Outside a workflow, and if `W` is not this workflow's type.
#[track_caller]
pub fn this<W: 'static>() -> Rc<W> {
    let workflow = current("this", "pass the value on").workflow();
    match workflow.and_then(|workflow| workflow.downcast().ok()) {
        Some(workflow) => workflow,
        None => panic!("`this::<{}>()` was called in a workflow of another type", std::any::type_name::<W>()),
    }
}

/// A random number, the same on replay: an integer of any size, a `bool`, or an `f64` of at least 0 and less than 1.
///
/// # Panics
/// Outside a workflow, and in queries and validators.
#[track_caller]
pub fn random<T: Random>() -> T {
    let core = current("random", "elsewhere use the `rand` crate");
    T::from_bits(&mut || core.next_random())
}

/// A random integer within a range, the same on replay.
///
/// # Panics
/// If the range is empty, outside a workflow, and in queries and validators.
#[track_caller]
pub fn random_range(range: Range<u64>) -> u64 {
    assert!(!range.is_empty(), "the range {range:?} is empty");
    let span = u128::from(range.end - range.start);
    // Multiplying maps 64 random bits onto the span, with a bias below one in 2⁶⁴ / span.
    range.start + ((u128::from(random::<u64>()) * span) >> 64) as u64
}

/// A random UUID (version 4), the same on replay.
///
/// # Panics
/// Outside a workflow, and in queries and validators.
#[track_caller]
pub fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(random::<u128>().to_be_bytes()).into_uuid()
}

/// Whether the current task is replayed: history has completed it already. The workflow's behaviour must not depend on this
/// value, which is meant for side effects such as metrics.
pub fn is_replaying() -> bool {
    try_current().is_some_and(|core| core.is_replaying())
}
