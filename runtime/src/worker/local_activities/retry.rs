//! Retries of local activities.

use std::time::Duration;

use crate::data::{ActivityOptions, DEFAULT_INITIAL_INTERVAL, Failure, FailureKind, TimeoutType};

const DEFAULT_COEFFICIENT: f64 = 2.0;
/// The longest interval of a policy without one, as a multiple of the first.
const DEFAULT_MAXIMUM: u32 = 100;

/// The step after a failed attempt.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// The failure is final.
    None,
    /// The next attempt, after a wait.
    After(Duration),
}

/// Decides on the next attempt after a failed one. `left` is the remaining time of all attempts.
pub(super) fn next_attempt(options: &ActivityOptions, attempt: u32, failure: &Failure, left: Option<Duration>) -> Next {
    let policy = options.retry_policy.unwrap_or_default();
    let delay = match &failure.kind {
        FailureKind::Application { non_retryable: true, .. } | FailureKind::Cancelled { .. } => return Next::None,
        FailureKind::Application { type_name, next_retry_delay, .. } => {
            if policy.non_retryable_error_types.contains(&type_name.as_str()) {
                return Next::None;
            }
            *next_retry_delay
        }
        FailureKind::Timeout { timeout_type: TimeoutType::StartToClose, .. } => None,
        FailureKind::Timeout { .. } => return Next::None,
        _ => None,
    };
    if policy.maximum_attempts.is_some_and(|maximum| maximum != 0 && attempt >= maximum) {
        return Next::None;
    }
    let wait = delay.unwrap_or_else(|| {
        let initial = policy.initial_interval.unwrap_or(DEFAULT_INITIAL_INTERVAL);
        let maximum = policy.maximum_interval.unwrap_or(initial.saturating_mul(DEFAULT_MAXIMUM));
        let coefficient = policy.backoff_coefficient.unwrap_or(DEFAULT_COEFFICIENT);
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        Duration::try_from_secs_f64(initial.as_secs_f64() * coefficient.powi(exponent))
            .map_or(maximum, |wait| wait.min(maximum))
    });
    // The wait for an attempt that could not begin in time is omitted.
    if left.is_some_and(|left| wait >= left) { Next::None } else { Next::After(wait) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Payloads, RetryPolicy};

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(policy: RetryPolicy) -> ActivityOptions {
        ActivityOptions::new().retry_policy(policy)
    }

    fn busy() -> Failure {
        Failure::application("Busy", "later")
    }

    #[test]
    fn waits_double_up_to_a_hundred_times_the_first() {
        let wait = |attempt| next_attempt(&ActivityOptions::new(), attempt, &busy(), None);
        assert_eq!([wait(1), wait(2), wait(4)].map(|next| next == Next::None), [false; 3]);
        assert_eq!((wait(1), wait(3)), (Next::After(SECOND), Next::After(SECOND * 4)));
        assert_eq!((wait(8), wait(u32::MAX)), (Next::After(SECOND * 100), Next::After(SECOND * 100)));
        let fast = policy(RetryPolicy::new().initial_interval(SECOND / 10).backoff_coefficient(1.0));
        assert_eq!(next_attempt(&fast, 50, &busy(), None), Next::After(SECOND / 10));
    }

    #[test]
    fn final_failures_and_the_last_attempt_end_it() {
        let twice = policy(RetryPolicy::new().maximum_attempts(2).non_retryable_error_types(&["Declined"]));
        assert_eq!(next_attempt(&twice, 1, &busy(), None), Next::After(SECOND));
        assert_eq!(next_attempt(&twice, 2, &busy(), None), Next::None);
        assert_eq!(next_attempt(&twice, 1, &Failure::application("Declined", ""), None), Next::None);
        assert_eq!(next_attempt(&twice, 1, &Failure::cancelled(""), None), Next::None);
        let timeout = |timeout_type| {
            Failure::new("", FailureKind::Timeout { timeout_type, last_heartbeat_details: Payloads::new() })
        };
        assert_eq!(next_attempt(&twice, 1, &timeout(TimeoutType::StartToClose), None), Next::After(SECOND));
        assert_eq!(next_attempt(&twice, 1, &timeout(TimeoutType::ScheduleToClose), None), Next::None);
    }

    #[test]
    fn attempt_that_could_not_begin_in_time_is_none() {
        let options = ActivityOptions::new();
        assert_eq!(next_attempt(&options, 1, &busy(), Some(SECOND)), Next::None);
        assert_eq!(next_attempt(&options, 1, &busy(), Some(SECOND * 2)), Next::After(SECOND));
    }

    #[test]
    fn failure_decides_the_wait_itself() {
        let mut failure = busy();
        if let FailureKind::Application { next_retry_delay, .. } = &mut failure.kind {
            *next_retry_delay = Some(SECOND * 7);
        }
        assert_eq!(next_attempt(&ActivityOptions::new(), 3, &failure, None), Next::After(SECOND * 7));
    }
}
