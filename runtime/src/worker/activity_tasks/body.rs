//! An activity's own code.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::info::waiting_limit;
use super::runner::ActivityRunner;
use super::watched::Watched;
use crate::activity::{ActivityCancelReason, ActivityContext, ActivityInfo, Heartbeats};
use crate::data::{Failure, Payloads};
use crate::errors::ActivityError;
use crate::executor::{Panic, catch, discard};
use crate::raw;
use crate::registry::RegisteredActivity;
use crate::worker::interceptor::{ActivityAttempt, Attempted, Innermost, NextActivity};

/// The body of an activity with everything that it needs but its input.
struct Body<'a> {
    runner: &'a ActivityRunner,
    activity: RegisteredActivity,
    context: ActivityContext,
    beats: &'a Arc<Heartbeats>,
    span: Span,
}

impl Innermost for Body<'_> {
    fn start<'a>(self: Box<Self>, input: Payloads) -> Attempted<'a>
    where
        Self: 'a,
    {
        Box::pin(async move {
            let Self { runner, activity, context, beats, span } = *self;
            runner.body(activity, context, beats, input.into_raw(), span).await
        })
    }
}

impl ActivityRunner {
    /// Runs the activity with the interceptors around it. A panic of an interceptor fails the attempt, too.
    pub(crate) async fn intercepted(
        &self,
        info: &ActivityInfo,
        activity: RegisteredActivity,
        context: ActivityContext,
        beats: &Arc<Heartbeats>,
        input: Vec<raw::Payload>,
        span: Span,
    ) -> Result<raw::Payload, ActivityError> {
        if self.interceptors.is_empty() {
            return self.body(activity, context, beats, input, span).await;
        }
        let attempt = ActivityAttempt { info, input: input.into() };
        let body = Body { runner: self, activity, context, beats, span };
        caught(NextActivity::new(&self.interceptors, body).run(attempt)).await
    }

    /// Runs the activity's own code. A panic, or an input of another type, fails the attempt.
    pub(crate) async fn body(
        &self,
        activity: RegisteredActivity,
        context: ActivityContext,
        beats: &Arc<Heartbeats>,
        input: Vec<raw::Payload>,
        span: Span,
    ) -> Result<raw::Payload, ActivityError> {
        let RegisteredActivity { blocking, auto_heartbeat, run } = activity;
        let context_of_wait = context.clone();
        let start = move || {
            run(context, &input).map_err(|cause| {
                let failure = Failure::application("DecodeError", cause.to_string());
                ActivityError::from(failure)
            })
        };
        if !blocking {
            let caught = Box::pin(caught(async move { start()?.await }));
            return match auto_heartbeat {
                true => Watched::new(caught, beats.clone()).instrument(span).await,
                false => caught.instrument(span).await,
            };
        }
        // An expired attempt must not begin: the next one may run already, or the worker may have stopped.
        let wait = waiting_limit(context_of_wait.info());
        let begin_by = wait.and_then(|wait| Instant::now().checked_add(wait));
        let out_of_time = async {
            match begin_by {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let slot = tokio::select! {
            biased;
            reason = context_of_wait.cancelled() => return Err(not_begun(reason)),
            () = out_of_time => return Err(not_begun(ActivityCancelReason::TimedOut)),
            slot = self.blocking_slots.clone().acquire_owned() => slot,
        };
        let runtime = Handle::current();
        let thread = tokio::task::spawn_blocking(move || {
            // The runtime may have had no free thread for some time.
            let is_late = begin_by.is_some_and(|deadline| Instant::now() > deadline);
            let late = context_of_wait.cancel_reason().or(is_late.then_some(ActivityCancelReason::TimedOut));
            if let Some(reason) = late {
                return Err(not_begun(reason));
            }
            let result = span.in_scope(|| catch(|| runtime.block_on(async move { start()?.await })));
            drop(slot);
            result.unwrap_or_else(|panic| Err(panicked(panic)))
        });
        thread.await.unwrap_or_else(|error: JoinError| Err(ActivityError::new(error.to_string())))
    }
}

/// The failure of a blocking activity that did not begin in time.
fn not_begun(reason: ActivityCancelReason) -> ActivityError {
    let why = match reason {
        ActivityCancelReason::Requested => return ActivityError::cancelled(),
        ActivityCancelReason::WorkerShutdown => "the worker stopped before one of its threads was free",
        _ => {
            "the attempt expired before one of the worker's threads was free; raise \
             `max_concurrent_blocking_activities`, or the activity's timeouts"
        }
    };
    Failure::application("ActivityNotBegun", format!("the activity did not begin: {why}")).into()
}

/// Converts a panic of user code into the failure of the attempt.
async fn caught(
    code: impl Future<Output = Result<raw::Payload, ActivityError>>,
) -> Result<raw::Payload, ActivityError> {
    let mut running = Guarded(Some(Box::pin(code)));
    poll_fn(|cx| match catch(|| running.poll(cx)) {
        Ok(polled) => polled,
        Err(panic) => Poll::Ready(Err(panicked(panic))),
    })
    .await
}

/// A future of user code, whose destructors may panic if it is dropped before it ends.
struct Guarded<F>(Option<Pin<Box<F>>>);

impl<F: Future> Guarded<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().expect("only its drop takes the future out").as_mut().poll(cx)
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        if let Err(panic) = discard(self.0.take()) {
            tracing::warn!(%panic, "an activity that was over panicked while it was dropped");
        }
    }
}

/// The error of an activity whose code panicked.
pub(crate) fn panicked(panic: Panic) -> ActivityError {
    let mut failure = Failure::application("Panic", panic.to_string());
    failure.stack_trace = panic.location.unwrap_or_default();
    ActivityError::from(failure)
}
