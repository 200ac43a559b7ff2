//! Local activities: the same calls, run by the workflow's own worker within the workflow task.

use std::time::Duration;

use super::call::{ActivityCall, CallSettings};
use super::definition::Activity;
use crate::data::{ActivityCancellationType, RetryPolicy};

/// A call of an activity that the workflow's own worker runs, within the workflow task: see [`ActivityCall::local`].
#[must_use = "a call does nothing until it is awaited or started"]
pub struct LocalActivityCall<A: Activity> {
    pub(super) call: ActivityCall<A>,
    pub(super) retry_threshold: Option<Duration>,
}

impl<A: Activity> ActivityCall<A> {
    /// Runs the activity in the workflow's own worker, without an activity task: it takes microseconds instead of milliseconds,
    /// and one event of history instead of three. Local activities should be short: a lookup, a calculation, a call to a
    /// nearby service.
    ///
    /// The history has only the result, in a marker. If the worker is lost before the workflow task is completed, the activity
    /// runs again. Events that arrive meanwhile (a signal, an update, a timer that fired) wait for the end of the task, which
    /// ends at the latest after 80 % of the [workflow task timeout](crate::workflow::WorkflowInfo::task_timeout); then another one follows
    /// at once, and the activity continues. The activity ends with its workflow.
    ///
    /// The activity must be registered with the worker of the workflow. The options of its attribute and of the worker apply as
    /// usual, except the limit of the wait for a worker and the heartbeat timeout; heartbeats are not sent.
    ///
    /// ```
    /// # use everloop::prelude::*;
    /// # #[activity] async fn exchange_rate(currency: String) -> ActivityResult<u64> { Ok(1) }
    /// # async fn example() -> WorkflowResult<u64> {
    /// let rate = exchange_rate("EUR".into()).local().start_to_close_timeout(Duration::from_secs(1)).await?;
    /// # Ok(rate)
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the call has a task queue, a limit of the wait for a worker, or a heartbeat timeout.
    #[track_caller]
    pub fn local(self) -> LocalActivityCall<A> {
        let CallSettings { options, task_queue, .. } = &self.settings;
        let refused = [
            ("task_queue", task_queue.is_some(), NO_TASK_QUEUE),
            ("schedule_to_start_timeout", options.schedule_to_start_timeout.is_some(), NO_SCHEDULE_TO_START),
            ("heartbeat_timeout", options.heartbeat_timeout.is_some(), NO_HEARTBEAT),
        ];
        for (option, is_set, why) in refused {
            if is_set {
                panic!("`{option}` of a call of `{}` that is local: {why}", A::NAME);
            }
        }
        LocalActivityCall { call: self, retry_threshold: None }
    }
}

const NO_TASK_QUEUE: &str = "the workflow's own worker runs it; call it without `local()`, or remove the task queue";
const NO_SCHEDULE_TO_START: &str = "it waits for no other worker; set `schedule_to_close_timeout` instead";
const NO_HEARTBEAT: &str = "its worker is the workflow's own; set `start_to_close_timeout` instead";

impl<A: Activity> LocalActivityCall<A> {
    /// Sets the time limit of one attempt. The default is ten minutes, unless the activity or the worker sets a limit. An attempt
    /// that takes longer is dropped, and retried according to its policy.
    pub fn start_to_close_timeout(mut self, limit: Duration) -> Self {
        self.call = self.call.start_to_close_timeout(limit);
        self
    }

    /// Sets the time limit of all attempts together, including the time between them.
    pub fn schedule_to_close_timeout(mut self, limit: Duration) -> Self {
        self.call = self.call.schedule_to_close_timeout(limit);
        self
    }

    /// Sets the policy for retries.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.call = self.call.retry_policy(policy);
        self
    }

    /// Sets the longest wait between two attempts for which the workflow task stays open; the default is one minute. A longer
    /// wait is a timer of the workflow. In a test environment each wait is a timer, so that time can skip it.
    pub fn local_retry_threshold(mut self, longest: Duration) -> Self {
        self.retry_threshold = Some(longest);
        self
    }

    /// Sets the effect of a cancellation.
    pub fn cancellation_type(mut self, cancellation: ActivityCancellationType) -> Self {
        self.call = self.call.cancellation_type(cancellation);
        self
    }

    /// Sets the activity's id in the workflow, instead of a number.
    pub fn activity_id(mut self, id: impl Into<String>) -> Self {
        self.call = self.call.activity_id(id);
        self
    }

    /// Sets a line for readers of the workflow's history.
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        self.call = self.call.summary(text);
        self
    }

    /// Does not compile, because the workflow's own worker runs a local activity.
    #[doc(hidden)]
    pub fn task_queue(self, _name: impl Into<String>) -> Self
    where
        Self: OnTaskQueue,
    {
        self
    }

    /// Does not compile, because a local activity does not wait for a worker.
    #[doc(hidden)]
    pub fn schedule_to_start_timeout(self, _limit: Duration) -> Self
    where
        Self: OnTaskQueue,
    {
        self
    }

    /// Does not compile, because a local activity sends no heartbeats.
    #[doc(hidden)]
    pub fn heartbeat_timeout(self, _limit: Duration) -> Self
    where
        Self: OnTaskQueue,
    {
        self
    }
}

/// A call that waits for a worker in a task queue, which a local call does not.
#[diagnostic::on_unimplemented(
    message = "a local activity has no task queue, and sends no heartbeats",
    label = "not an option of a local activity",
    note = "the workflow's own worker runs it, at once: limit it by `start_to_close_timeout` or `schedule_to_close_timeout`",
    note = "or call the activity without `.local()`"
)]
pub trait OnTaskQueue {}
