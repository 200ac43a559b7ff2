//! An activity call is a value: what to call and with which arguments. What happens to it is the verb's business.

use std::panic::Location;
use std::time::Duration;

use super::definition::Activity;
use crate::data::{ActivityCancellationType, ActivityOptions, RetryPolicy};

/// An activity with its arguments, made by calling the annotated function.
///
/// In a workflow, `.await` it for the result, or [`start`](Self::start) it and go on. In a test,
/// `ActivityEnvironment::run` runs its body. It is plain data: nothing happens before.
#[must_use = "a call does nothing until it is awaited, started or handed to a client"]
pub struct ActivityCall<A: Activity> {
    pub(crate) args: A::Args,
    pub(crate) settings: CallSettings,
    /// The line that made the call: where its command comes from.
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

    /// How long one attempt may take.
    pub fn start_to_close_timeout(mut self, limit: Duration) -> Self {
        self.settings.options.start_to_close_timeout = Some(limit);
        self
    }

    /// How long all attempts may take together, waiting included.
    pub fn schedule_to_close_timeout(mut self, limit: Duration) -> Self {
        self.settings.options.schedule_to_close_timeout = Some(limit);
        self
    }

    /// How long it may wait for a worker.
    pub fn schedule_to_start_timeout(mut self, limit: Duration) -> Self {
        self.settings.options.schedule_to_start_timeout = Some(limit);
        self
    }

    /// How long the activity may be silent before the attempt counts as lost.
    pub fn heartbeat_timeout(mut self, limit: Duration) -> Self {
        self.settings.options.heartbeat_timeout = Some(limit);
        self
    }

    /// How it is retried.
    pub fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.settings.options.retry_policy = Some(policy);
        self
    }

    /// The effect of a cancellation.
    pub fn cancellation_type(mut self, cancellation: ActivityCancellationType) -> Self {
        self.settings.options.cancellation_type = Some(cancellation);
        self
    }

    /// The queue whose workers run it. The default is the workflow's own.
    pub fn task_queue(mut self, name: impl Into<String>) -> Self {
        self.settings.task_queue = Some(name.into());
        self
    }

    /// Its id in the workflow, instead of a number. Must differ from those of other running activities.
    pub fn activity_id(mut self, id: impl Into<String>) -> Self {
        self.settings.activity_id = Some(id.into());
        self
    }

    /// A line for readers of the workflow's history.
    pub fn summary(mut self, text: impl Into<String>) -> Self {
        self.settings.summary = Some(text.into());
        self
    }
}
