//! Pauses between the attempts of a call.
//!
//! Each pause is random between zero and a growing ceiling ("full jitter"), so that callers that fail at the same time do
//! not retry at the same time.

use std::time::Duration;

use uuid::Uuid;

use super::error::{RpcCode, RpcError};

const FIRST_CEILING: Duration = Duration::from_millis(100);
const FACTOR: f64 = 1.7;
const LAST_CEILING: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 10;

/// The retries of one call.
#[derive(Debug, Clone)]
pub(super) struct Retries {
    pauses: Pauses,
    /// The number of attempts, without those that a busy server rejected.
    attempts: u32,
    /// The time limit of all attempts; `None` for a call that is repeated until the server is reachable.
    limit: Option<Duration>,
}

impl Retries {
    /// The retries of a call with a time limit for all attempts.
    pub(super) fn within(limit: Duration) -> Self {
        Self { pauses: Pauses::default(), attempts: 0, limit: Some(limit) }
    }

    /// The retries of a call that is repeated while the server is unreachable.
    pub(super) fn endless() -> Self {
        Self { pauses: Pauses::default(), attempts: 0, limit: None }
    }

    /// The pause before the next attempt, or `None` if the error is final. `elapsed` is the time that counts against the limit;
    /// `fraction` (0 to 1) is the pause as a part of its ceiling.
    pub(super) fn pause_after(&mut self, error: &RpcError, elapsed: Duration, fraction: f64) -> Option<Duration> {
        let left = match self.limit {
            Some(limit) => limit.checked_sub(elapsed).filter(|left| !left.is_zero())?,
            None => LAST_CEILING,
        };
        // The error of a busy or unreachable server does not depend on the call, so only the time limit ends the retries.
        let is_counted = match error.code {
            RpcCode::ResourceExhausted => false,
            RpcCode::Unavailable => self.limit.is_some(),
            _ => true,
        };
        self.attempts += u32::from(is_counted);
        if !error.is_retryable() || is_counted && self.attempts >= ATTEMPTS {
            return None;
        }
        Some(self.pauses.next(fraction).min(left.mul_f64(fraction)))
    }
}

/// Growing pauses.
#[derive(Debug, Clone, Copy)]
struct Pauses {
    ceiling: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { ceiling: FIRST_CEILING }
    }
}

impl Pauses {
    fn next(&mut self, fraction: f64) -> Duration {
        let pause = self.ceiling.mul_f64(fraction);
        self.ceiling = self.ceiling.mul_f64(FACTOR).min(LAST_CEILING);
        pause
    }
}

/// Growing pauses between attempts that have no end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backoff(Pauses);

impl Backoff {
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.0.next(random_fraction())).await;
    }
}

/// A random number from 0 up to 1, different for each caller and process.
pub(super) fn random_fraction() -> f64 {
    /// The number of bits in the fraction of an `f64`.
    const BITS: u32 = 53;
    // The lower 62 bits of a random UUID are random.
    let (_, bits) = Uuid::new_v4().as_u64_pair();
    (bits & ((1 << BITS) - 1)) as f64 / (1u64 << BITS) as f64
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn error(code: RpcCode) -> RpcError {
        RpcError { operation: "x", code, message: String::new(), detail: None }
    }

    #[test]
    fn ceilings_grow_up_to_five_seconds() {
        let mut pauses = Pauses::default();
        let all: Vec<_> = (0..20).map(|_| pauses.next(1.0)).collect();
        assert_eq!(all[..2], [Duration::from_millis(100), Duration::from_millis(170)]);
        assert_eq!(all[19], LAST_CEILING);
        assert!((0..1000).map(|_| random_fraction()).all(|fraction| (0.0..1.0).contains(&fraction)));
    }

    #[test]
    fn a_call_ends_after_ten_attempts_or_its_limit() {
        let unavailable = error(RpcCode::Unavailable);
        let mut retries = Retries::within(LIMIT);
        let pauses = std::iter::from_fn(|| retries.pause_after(&unavailable, Duration::ZERO, 0.5)).count();
        assert_eq!(pauses, 9, "the tenth attempt is the last one");
        assert_eq!(Retries::within(LIMIT).pause_after(&unavailable, LIMIT, 0.5), None);
        // The remaining time limits the pause, so that the last attempt is still within the limit.
        let nearly = LIMIT - Duration::from_millis(10);
        assert_eq!(Retries::within(LIMIT).pause_after(&unavailable, nearly, 0.5), Some(Duration::from_millis(5)));
        assert_eq!(Retries::within(LIMIT).pause_after(&error(RpcCode::NotFound), Duration::ZERO, 0.5), None);
    }

    #[test]
    fn attempts_that_a_busy_server_turned_away_leave_the_others_to_come() {
        let mut retries = Retries::within(LIMIT);
        for _ in 0..ATTEMPTS * 2 {
            assert!(retries.pause_after(&error(RpcCode::ResourceExhausted), Duration::ZERO, 0.5).is_some());
        }
        let unavailable = error(RpcCode::Unavailable);
        let pauses = std::iter::from_fn(|| retries.pause_after(&unavailable, Duration::ZERO, 0.5)).count();
        assert_eq!(pauses, 9);
    }

    #[test]
    fn waiting_outlasts_a_server_that_is_away_and_no_other_error() {
        let count = |code| {
            let mut retries = Retries::endless();
            (0..1000).take_while(|_| retries.pause_after(&error(code), Duration::MAX, 0.5).is_some()).count()
        };
        assert_eq!(count(RpcCode::Unavailable), 1000);
        assert_eq!(count(RpcCode::ResourceExhausted), 1000);
        assert_eq!(count(RpcCode::Internal), 9);
        assert_eq!(count(RpcCode::NotFound), 0);
    }

    /// The number of successes of 200 simultaneous calls on a server that handles ten at a time, 20 ms each, and rejects others.
    fn served(mut fraction: impl FnMut() -> f64) -> usize {
        const WORK: Duration = Duration::from_millis(20);
        let mut calls: Vec<_> = (0..200).map(|_| Retries::within(LIMIT)).collect();
        let mut due: BinaryHeap<_> = (0..calls.len()).map(|call| Reverse((Duration::ZERO, call))).collect();
        let (mut busy_until, mut served) = (Vec::new(), 0);
        while let Some(Reverse((now, call))) = due.pop() {
            busy_until.retain(|until| *until > now);
            if busy_until.len() < 10 {
                busy_until.push(now + WORK);
                served += 1;
            } else if let Some(pause) = calls[call].pause_after(&error(RpcCode::ResourceExhausted), now, fraction()) {
                due.push(Reverse((now + pause, call)));
            }
        }
        served
    }

    /// Without jitter, ten calls succeeded in each of ten rounds, and a hundred failed.
    #[test]
    fn all_of_two_hundred_simultaneous_calls_succeed_on_a_server_that_serves_ten_at_a_time() {
        for seed in 0..100 {
            let mut random = ChaCha12Rng::seed_from_u64(seed);
            assert_eq!(served(|| random.next_u64() as f64 / u64::MAX as f64), 200, "seed {seed}");
        }
        // Without jitter, most calls fail, which shows that this test can fail.
        assert!(served(|| 1.0) < 200);
    }
}
