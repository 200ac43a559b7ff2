//! Time limits, retries and cancellation of activities.

use std::collections::BTreeMap;
use std::time::Duration;

use super::duration::{OptionError, check_limit, duration_to_wire};

/// The policy for retries of an activity after a failure or a timeout. Unset fields have the server's values: a first retry
/// after 1 s, then intervals that double up to a hundred times the first one, without a limit on attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RetryPolicy {
    pub(crate) initial_interval: Option<Duration>,
    pub(crate) backoff_coefficient: Option<f64>,
    pub(crate) maximum_interval: Option<Duration>,
    pub(crate) maximum_attempts: Option<u32>,
    pub(crate) non_retryable_error_types: &'static [&'static str],
}

impl RetryPolicy {
    /// A policy without set fields.
    pub const fn new() -> Self {
        Self {
            initial_interval: None,
            backoff_coefficient: None,
            maximum_interval: None,
            maximum_attempts: None,
            non_retryable_error_types: &[],
        }
    }

    /// The time before the second attempt.
    pub const fn initial_interval(mut self, interval: Duration) -> Self {
        self.initial_interval = Some(interval);
        self
    }

    /// The factor from one interval to the next; at least 1.
    pub const fn backoff_coefficient(mut self, coefficient: f64) -> Self {
        self.backoff_coefficient = Some(coefficient);
        self
    }

    /// The longest interval.
    pub const fn maximum_interval(mut self, interval: Duration) -> Self {
        self.maximum_interval = Some(interval);
        self
    }

    /// The maximum number of attempts; 0 means no limit, 1 no retry.
    pub const fn maximum_attempts(mut self, attempts: u32) -> Self {
        self.maximum_attempts = Some(attempts);
        self
    }

    /// Errors of these types are final. See [`ActivityError::type_name`](crate::ActivityError::type_name).
    pub const fn non_retryable_error_types(mut self, types: &'static [&'static str]) -> Self {
        self.non_retryable_error_types = types;
        self
    }

    /// Rejects values that the server would reject or read differently.
    pub(crate) fn check(&self) -> Result<(), OptionError> {
        let zero = |option| {
            OptionError::new(
                option,
                "of a retry policy is zero, which would mean the server's default; set a longer one",
            )
        };
        if self.initial_interval == Some(Duration::ZERO) {
            return Err(zero("initial_interval"));
        }
        if self.maximum_interval == Some(Duration::ZERO) {
            return Err(zero("maximum_interval"));
        }
        if let Some(coefficient) = self.backoff_coefficient.filter(|it| !(it.is_finite() && *it >= 1.0)) {
            let problem = format!(
                "of a retry policy is {coefficient}; it is at least 1, each wait is that many times the one before"
            );
            return Err(OptionError::new("backoff_coefficient", problem));
        }
        let initial = self.initial_interval.unwrap_or(DEFAULT_INITIAL_INTERVAL);
        if let Some(maximum) = self.maximum_interval.filter(|maximum| *maximum < initial) {
            let problem = format!(
                "of a retry policy is {maximum:?}, shorter than the first interval, {initial:?}; set `initial_interval` to no more"
            );
            return Err(OptionError::new("maximum_interval", problem));
        }
        Ok(())
    }

    pub(crate) fn to_wire(self) -> crate::raw::RetryPolicy {
        let duration = |interval: Option<Duration>| interval.map(duration_to_wire);
        crate::raw::RetryPolicy {
            initial_interval: duration(self.initial_interval),
            backoff_coefficient: self.backoff_coefficient.unwrap_or_default(),
            maximum_interval: duration(self.maximum_interval),
            maximum_attempts: self.maximum_attempts.unwrap_or_default().try_into().unwrap_or(i32::MAX),
            non_retryable_error_types: self.non_retryable_error_types.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

/// The effect of a cancellation on an activity, and on the workflow that awaits it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActivityCancellationType {
    /// Requests the cancellation of the activity. Awaiting it returns at once, as cancelled.
    #[default]
    TryCancel,
    /// Requests the cancellation of the activity. Awaiting it returns when the activity has ended; if it completes in spite of
    /// the request, with its result.
    WaitCancellationCompleted,
    /// Leaves the activity running. Awaiting it returns at once, as cancelled.
    Abandon,
}

/// Options of an activity. They come from four places; for each option, the first place that sets it wins:
///
/// 1. the call, as in `charge(amount).start_to_close_timeout(limit)`
/// 2. the worker of the calling workflow, for this activity: [`override_activity_options`](crate::worker::WorkerBuilder::override_activity_options)
/// 3. the activity's attribute, as in `#[activity(start_to_close_timeout = "1m")]`
/// 4. the worker of the calling workflow, for all: [`activity_defaults`](crate::worker::WorkerBuilder::activity_defaults)
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ActivityOptions {
    pub(crate) start_to_close_timeout: Option<Duration>,
    pub(crate) schedule_to_close_timeout: Option<Duration>,
    pub(crate) schedule_to_start_timeout: Option<Duration>,
    pub(crate) heartbeat_timeout: Option<Duration>,
    pub(crate) retry_policy: Option<RetryPolicy>,
    pub(crate) cancellation_type: Option<ActivityCancellationType>,
}

/// The server's default.
pub(crate) const DEFAULT_INITIAL_INTERVAL: Duration = Duration::from_secs(1);

/// The limit of one attempt if neither that limit nor one for all attempts is set. Without a limit, a lost worker would
/// never be detected, so the server rejects such an activity.
pub(crate) const DEFAULT_START_TO_CLOSE_TIMEOUT: Duration = Duration::from_secs(600);

impl ActivityOptions {
    /// Options without set fields.
    pub const fn new() -> Self {
        Self {
            start_to_close_timeout: None,
            schedule_to_close_timeout: None,
            schedule_to_start_timeout: None,
            heartbeat_timeout: None,
            retry_policy: None,
            cancellation_type: None,
        }
    }

    /// The time limit of one attempt. The default is ten minutes if `schedule_to_close_timeout` is not set either: without a
    /// limit, an attempt whose worker is lost would never be retried. Set the limit to a little more than the activity takes,
    /// and use a [heartbeat](Self::heartbeat_timeout) for long activities.
    pub const fn start_to_close_timeout(mut self, limit: Duration) -> Self {
        self.start_to_close_timeout = Some(limit);
        self
    }

    /// The time limit of all attempts together, including the time between them.
    pub const fn schedule_to_close_timeout(mut self, limit: Duration) -> Self {
        self.schedule_to_close_timeout = Some(limit);
        self
    }

    /// The limit of the time that an attempt waits for a worker. The activity is not retried after this timeout.
    pub const fn schedule_to_start_timeout(mut self, limit: Duration) -> Self {
        self.schedule_to_start_timeout = Some(limit);
        self
    }

    /// The longest time between two heartbeats. Without a heartbeat for this time, the attempt counts as lost.
    pub const fn heartbeat_timeout(mut self, limit: Duration) -> Self {
        self.heartbeat_timeout = Some(limit);
        self
    }

    /// The policy for retries.
    pub const fn retry_policy(mut self, policy: RetryPolicy) -> Self {
        self.retry_policy = Some(policy);
        self
    }

    /// The effect of a cancellation.
    pub const fn cancellation_type(mut self, cancellation: ActivityCancellationType) -> Self {
        self.cancellation_type = Some(cancellation);
        self
    }

    /// Rejects values that the server would reject or read differently.
    ///
    /// A limit may be longer than another one: they may come from different places, and the shorter one applies.
    pub(crate) fn check(&self) -> Result<(), OptionError> {
        check_limit("start_to_close_timeout", self.start_to_close_timeout)?;
        check_limit("schedule_to_close_timeout", self.schedule_to_close_timeout)?;
        check_limit("schedule_to_start_timeout", self.schedule_to_start_timeout)?;
        check_limit("heartbeat_timeout", self.heartbeat_timeout)?;
        self.retry_policy.as_ref().map_or(Ok(()), RetryPolicy::check)
    }

    /// Merges options: those of `self` take precedence over those of `weaker`.
    pub(crate) fn over(self, weaker: Self) -> Self {
        Self {
            start_to_close_timeout: self.start_to_close_timeout.or(weaker.start_to_close_timeout),
            schedule_to_close_timeout: self.schedule_to_close_timeout.or(weaker.schedule_to_close_timeout),
            schedule_to_start_timeout: self.schedule_to_start_timeout.or(weaker.schedule_to_start_timeout),
            heartbeat_timeout: self.heartbeat_timeout.or(weaker.heartbeat_timeout),
            retry_policy: self.retry_policy.or(weaker.retry_policy),
            cancellation_type: self.cancellation_type.or(weaker.cancellation_type),
        }
    }
}

/// The options that a worker sets for the activities that its workflows call.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerActivityOptions {
    /// Options of single activities, by the name of their type.
    pub(crate) overrides: BTreeMap<&'static str, ActivityOptions>,
    pub(crate) defaults: ActivityOptions,
}

impl WorkerActivityOptions {
    /// The options of one call.
    pub(crate) fn of_call(
        &self,
        activity_type: &str,
        call: ActivityOptions,
        attribute: ActivityOptions,
    ) -> ActivityOptions {
        let overrides = self.overrides.get(activity_type).copied().unwrap_or_default();
        call.over(overrides).over(attribute).over(self.defaults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_comes_from_the_first_place_that_sets_it() {
        let seconds = |seconds| ActivityOptions::new().start_to_close_timeout(Duration::from_secs(seconds));
        let retries = |attempts| ActivityOptions::new().retry_policy(RetryPolicy::new().maximum_attempts(attempts));
        let worker = WorkerActivityOptions {
            overrides: BTreeMap::from([("charge", seconds(3)), ("refund", ActivityOptions::new())]),
            defaults: seconds(1).over(retries(9)),
        };
        let nothing = ActivityOptions::new();
        assert_eq!(worker.of_call("charge", seconds(4), seconds(2)), seconds(4).over(retries(9)));
        assert_eq!(worker.of_call("charge", nothing, seconds(2)), seconds(3).over(retries(9)));
        assert_eq!(worker.of_call("refund", nothing, seconds(2)), seconds(2).over(retries(9)));
        assert_eq!(worker.of_call("other", nothing, retries(2)), seconds(1).over(retries(2)));
        assert_eq!(WorkerActivityOptions::default().of_call("other", nothing, nothing), nothing);
    }
}
