//! Calls of activities as values: the activity, its arguments and options.

use std::panic::Location;
use std::time::Duration;

use super::definition::Activity;
use crate::data::{ActivityCancellationType, ActivityOptions, RetryPolicy};

/// An activity with its arguments, which the annotated function returns.
///
/// A call is plain data. In a workflow, `.await` runs the activity and returns its result, and [`start`](Self::start)
/// schedules it without waiting. In a test, `ActivityEnvironment::run` runs its body.
#[must_use = "a call does nothing until it is awaited, started or handed to a client"]
pub struct ActivityCall<A: Activity> {
    pub(crate) args: A::Args,
    pub(crate) settings: CallSettings,
    /// The line of the call, for messages about its command.
    pub(crate) site: &'static Location<'static>,
}

/// The options that are set on a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallSettings {
    pub(crate) options: ActivityOptions,
    pub(crate) task_queue: Option<String>,
    pub(crate) activity_id: Option<String>,
    pub(crate) summary: Option<String>,
}

impl<A: Activity> ActivityCall<A> {
    #[doc(hidden)]
    #[track_caller]
    pub fn new(args: A::Args) -> Self {
        Self { args, settings: CallSettings::default(), site: Location::caller() }
    }

    /// Sets the time limit of one attempt.
    pub fn start_to_close_timeout(mut self, limit: Duration) -> Self {
        self.settings.options.start_to_close_timeout = Some(limit);
        self
    }

    /// Sets the time limit of all attempts together, including the time between them.
    pub fn schedule_to_close_timeout(mut self, limit: Duration) -> Self {
        self.settings.options.schedule_to_close_timeout = Some(limit);
        self
    }

    /// Limits the time that an attempt waits for a worker.
    pub fn schedule_to_start_timeout(mut self, limit: Duration) -> Self {
        self.settings.options.schedule_to_start_timeout = Some(limit);
        self
    }

    /// Sets the longest time between heartbeats, after which the attempt counts as lost.
    pub fn heartbeat_timeout(mut self, limit: Duration) -> Self {
        self.settings.options.heartbeat_timeout = Some(limit);
        self
    }

    /// Sets the policy for retries.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.settings.options.retry_policy = Some(policy);
        self
    }

    /// Sets the effect of a cancellation.
    pub fn cancellation_type(mut self, cancellation: ActivityCancellationType) -> Self {
        self.settings.options.cancellation_type = Some(cancellation);
        self
    }

    /// Sets the queue whose workers run the activity. The default is the workflow's own.
    pub fn task_queue(mut self, name: impl Into<String>) -> Self {
        self.settings.task_queue = Some(name.into());
        self
    }

    /// Sets the activity's id in the workflow, instead of a number. It must differ from those of other running activities.
    pub fn activity_id(mut self, id: impl Into<String>) -> Self {
        self.settings.activity_id = Some(id.into());
        self
    }

    /// Sets a line for readers of the workflow's history.
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        self.settings.summary = Some(text.into());
        self
    }
}
