//! Retry policies: whether and when a failed attempt is retried.

use std::time::Duration;

use crate::api::common;
use crate::api::enums::{RetryState, TimeoutType};
use crate::api::failure::Failure;
use crate::api::failure::failure::FailureInfo;
use crate::engine::time::{Time, duration, wire_duration};

/// Prefix of a timeout type in the list of non-retryable error types.
const TIMEOUT_PREFIX: &str = "TemporalTimeout:";

/// A retry policy with defaults for unset fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RetryPolicy {
    pub(crate) initial_interval: Duration,
    pub(crate) backoff_coefficient: f64,
    /// Zero means no limit.
    pub(crate) maximum_interval: Duration,
    /// Zero means no limit.
    pub(crate) maximum_attempts: i32,
    pub(crate) non_retryable_error_types: Vec<String>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial_interval: Duration::from_secs(1),
            backoff_coefficient: 2.0,
            maximum_interval: Duration::from_secs(100),
            maximum_attempts: 0,
            non_retryable_error_types: Vec::new(),
        }
    }
}

impl RetryPolicy {
    /// Reads a policy, sets defaults for unset fields and validates the others.
    ///
    /// # Errors
    ///
    /// Returns a sentence that names the invalid field.
    pub(crate) fn read(wire: Option<&common::RetryPolicy>) -> Result<Self, String> {
        let Some(wire) = wire else { return Ok(Self::default()) };
        let initial = duration(wire.initial_interval.as_ref())
            .map_err(|_| "InitialInterval cannot be negative on retry policy.".to_owned())?;
        let maximum = duration(wire.maximum_interval.as_ref())
            .map_err(|_| "MaximumInterval cannot be negative on retry policy.".to_owned())?;
        let policy = Self {
            initial_interval: if initial.is_zero() { Duration::from_secs(1) } else { initial },
            backoff_coefficient: if wire.backoff_coefficient == 0.0 { 2.0 } else { wire.backoff_coefficient },
            maximum_interval: Duration::ZERO,
            maximum_attempts: wire.maximum_attempts,
            non_retryable_error_types: wire.non_retryable_error_types.clone(),
        };
        let maximum = if maximum.is_zero() { policy.initial_interval.saturating_mul(100) } else { maximum };
        let policy = Self { maximum_interval: maximum, ..policy };
        policy.check()?;
        Ok(policy)
    }

    fn check(&self) -> Result<(), String> {
        if self.maximum_attempts == 1 {
            // With one attempt, the other fields have no effect.
            return Ok(());
        }
        if self.backoff_coefficient.is_nan() || self.backoff_coefficient < 1.0 {
            return Err("BackoffCoefficient cannot be less than 1 on retry policy.".to_owned());
        }
        if self.maximum_interval < self.initial_interval {
            return Err("MaximumInterval cannot be less than InitialInterval on retry policy.".to_owned());
        }
        if self.maximum_attempts < 0 {
            return Err("MaximumAttempts cannot be negative on retry policy.".to_owned());
        }
        for name in &self.non_retryable_error_types {
            if let Some(timeout) = name.strip_prefix(TIMEOUT_PREFIX)
                && !["StartToClose", "ScheduleToStart", "ScheduleToClose", "Heartbeat"].contains(&timeout)
            {
                return Err(format!("Invalid timeout type value: {timeout}."));
            }
        }
        Ok(())
    }

    /// The policy as events and poll responses hold it.
    pub(crate) fn to_wire(&self) -> common::RetryPolicy {
        common::RetryPolicy {
            initial_interval: wire_duration(self.initial_interval),
            backoff_coefficient: self.backoff_coefficient,
            maximum_interval: wire_duration(self.maximum_interval),
            maximum_attempts: self.maximum_attempts,
            non_retryable_error_types: self.non_retryable_error_types.clone(),
        }
    }

    /// Returns the delay before the run after that of `attempt`, or the reason why there is none. Unlike that of an
    /// activity, a delay that the workflow asks for is not longer than the policy's maximum interval.
    pub(crate) fn next_run(
        &self,
        attempt: i32,
        failure: &Failure,
        now: Time,
        expiration: Option<Time>,
    ) -> Result<Duration, RetryState> {
        if let Some(FailureInfo::TimeoutFailureInfo(info)) = &failure.failure_info
            && matches!(info.timeout_type(), TimeoutType::ScheduleToStart | TimeoutType::ScheduleToClose)
        {
            return Err(RetryState::NonRetryableFailure);
        }
        let delay = self.next_attempt(attempt, failure, now, None)?;
        let delay = if self.maximum_interval.is_zero() { delay } else { delay.min(self.maximum_interval) };
        if expiration.is_some_and(|expiration| now + delay > expiration) {
            return Err(RetryState::Timeout);
        }
        Ok(delay)
    }

    /// Returns the reason why no attempt may follow this failure, whenever it would.
    pub(crate) fn check_failure(&self, failure: &Failure) -> Result<(), RetryState> {
        if let Some(FailureInfo::TimeoutFailureInfo(info)) = &failure.failure_info
            && matches!(info.timeout_type(), TimeoutType::ScheduleToStart | TimeoutType::ScheduleToClose)
        {
            return Err(RetryState::Timeout);
        }
        match self.is_retryable(failure) {
            true => Ok(()),
            false => Err(RetryState::NonRetryableFailure),
        }
    }

    /// Returns the delay before the attempt after `attempt`, or the reason why there is none.
    pub(crate) fn next_attempt(
        &self,
        attempt: i32,
        failure: &Failure,
        now: Time,
        expiration: Option<Time>,
    ) -> Result<Duration, RetryState> {
        self.check_failure(failure)?;
        if self.maximum_attempts > 0 && attempt >= self.maximum_attempts {
            return Err(RetryState::MaximumAttemptsReached);
        }
        let interval = match asked_delay(failure) {
            // A delay that the activity requested may exceed the policy's maximum interval.
            Some(delay) => delay,
            None => self.interval(attempt),
        };
        if expiration.is_some_and(|expiration| now + interval > expiration) {
            return Err(RetryState::Timeout);
        }
        Ok(interval)
    }

    fn interval(&self, attempt: i32) -> Duration {
        let grown = self.initial_interval.as_secs_f64() * self.backoff_coefficient.powi(attempt - 1);
        match Duration::try_from_secs_f64(grown) {
            Ok(interval) if self.maximum_interval.is_zero() => interval,
            Ok(interval) => interval.min(self.maximum_interval),
            // The interval overflows: the maximum interval applies, if there is one.
            Err(_) if self.maximum_interval.is_zero() => Duration::MAX,
            Err(_) => self.maximum_interval,
        }
    }

    fn is_retryable(&self, failure: &Failure) -> bool {
        let listed = |name: &str| self.non_retryable_error_types.iter().any(|listed| listed == name);
        match &failure.failure_info {
            Some(FailureInfo::TerminatedFailureInfo(_) | FailureInfo::CanceledFailureInfo(_)) => false,
            Some(FailureInfo::TimeoutFailureInfo(info)) => {
                !listed(&format!("{TIMEOUT_PREFIX}{}", timeout_name(info.timeout_type())))
            }
            Some(FailureInfo::ServerFailureInfo(info)) => !info.non_retryable,
            Some(FailureInfo::ApplicationFailureInfo(info)) => !info.non_retryable && !listed(&info.r#type),
            _ => true,
        }
    }
}

/// The name of a timeout type in messages and retry policies.
pub(crate) fn timeout_name(timeout: TimeoutType) -> &'static str {
    match timeout {
        TimeoutType::Unspecified => "Unspecified",
        TimeoutType::StartToClose => "StartToClose",
        TimeoutType::ScheduleToStart => "ScheduleToStart",
        TimeoutType::ScheduleToClose => "ScheduleToClose",
        TimeoutType::Heartbeat => "Heartbeat",
    }
}

fn asked_delay(failure: &Failure) -> Option<Duration> {
    match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => {
            info.next_retry_delay.as_ref().and_then(|delay| duration(Some(delay)).ok())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::failure::{ApplicationFailureInfo, TimeoutFailureInfo};

    fn application(kind: &str, delay: Option<i64>) -> Failure {
        Failure {
            failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo {
                r#type: kind.to_owned(),
                next_retry_delay: delay.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
                ..Default::default()
            })),
            ..Default::default()
        }
    }

    fn timeout(kind: TimeoutType) -> Failure {
        Failure {
            failure_info: Some(FailureInfo::TimeoutFailureInfo(TimeoutFailureInfo {
                timeout_type: kind as i32,
                ..Default::default()
            })),
            ..Default::default()
        }
    }

    #[test]
    fn intervals_grow_up_to_the_limit() {
        let policy = RetryPolicy::default();
        let start = Time::from_nanos(0);
        let wait = |attempt| policy.next_attempt(attempt, &application("E", None), start, None).unwrap();
        assert_eq!([1, 2, 3].map(wait), [1, 2, 4].map(Duration::from_secs));
        assert_eq!(wait(500), Duration::from_secs(100));
    }

    #[test]
    fn a_requested_delay_may_exceed_the_maximum_interval_but_not_the_expiration() {
        let policy = RetryPolicy::default();
        let start = Time::from_nanos(0);
        let failure = application("E", Some(500));
        assert_eq!(policy.next_attempt(1, &failure, start, None), Ok(Duration::from_secs(500)));
        let expiration = Some(start + Duration::from_secs(499));
        assert_eq!(policy.next_attempt(1, &failure, start, expiration), Err(RetryState::Timeout));
    }

    #[test]
    fn final_failures_are_not_retried() {
        let policy = RetryPolicy {
            maximum_attempts: 3,
            non_retryable_error_types: vec!["Fatal".to_owned(), "TemporalTimeout:Heartbeat".to_owned()],
            ..RetryPolicy::default()
        };
        let state = |attempt, failure: &Failure| policy.next_attempt(attempt, failure, Time::from_nanos(0), None).err();
        assert_eq!(state(1, &application("Fatal", None)), Some(RetryState::NonRetryableFailure));
        assert_eq!(state(1, &timeout(TimeoutType::Heartbeat)), Some(RetryState::NonRetryableFailure));
        assert_eq!(state(1, &timeout(TimeoutType::StartToClose)), None);
        assert_eq!(state(1, &timeout(TimeoutType::ScheduleToStart)), Some(RetryState::Timeout));
        assert_eq!(state(3, &application("E", None)), Some(RetryState::MaximumAttemptsReached));
    }

    #[test]
    fn unset_fields_of_a_retry_policy_get_defaults_and_invalid_ones_are_named() {
        let read = |policy: common::RetryPolicy| RetryPolicy::read(Some(&policy));
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let filled = read(common::RetryPolicy { initial_interval: seconds(3), ..Default::default() }).unwrap();
        assert_eq!((filled.maximum_interval, filled.backoff_coefficient), (Duration::from_secs(300), 2.0));
        let error = read(common::RetryPolicy { backoff_coefficient: 0.5, ..Default::default() }).unwrap_err();
        assert!(error.contains("BackoffCoefficient"));
        let error = read(common::RetryPolicy {
            non_retryable_error_types: vec!["TemporalTimeout:Nap".to_owned()],
            ..Default::default()
        });
        assert_eq!(error, Err("Invalid timeout type value: Nap.".to_owned()));
    }
}
