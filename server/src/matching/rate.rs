//! How fast the tasks of a queue go out, when its workers set a limit.

use std::time::{Duration, Instant};

/// Below this rate, in tasks per second, no task goes out: the next one would be due after more than thirty years.
const RATE_MIN: f64 = 1e-9;

/// A limit on the tasks of one queue. Tasks go out evenly; after a pause, as many as one second allows go at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct RateLimit {
    per_second: Option<f64>,
    /// When the tasks that have gone out would be through if they had gone out evenly; `None` before the first.
    through: Option<Instant>,
}

impl RateLimit {
    /// Tasks per second; `None` without a limit.
    pub(super) fn per_second(&self) -> Option<f64> {
        self.per_second
    }

    /// Sets the limit; returns whether it changed. Zero stops the queue.
    pub(super) fn set(&mut self, per_second: Option<f64>, now: Instant) -> bool {
        if self.per_second == per_second {
            return false;
        }
        self.per_second = per_second;
        // A higher limit counts from now on: the next task need not wait as long as under the lower one.
        self.through = match self.interval() {
            Some(interval) => self.through.map(|through| through.min(now + interval.max(Duration::from_secs(1)))),
            None => None,
        };
        true
    }

    /// How long the next task has to wait; `None` when no task may go out.
    pub(super) fn delay(&self, now: Instant) -> Option<Duration> {
        if self.per_second.is_none() {
            return Some(Duration::ZERO);
        }
        let interval = self.interval()?;
        let burst = Duration::from_secs(1).saturating_sub(interval);
        Some(self.through.map_or(Duration::ZERO, |through| through.saturating_duration_since(now + burst)))
    }

    /// Counts a task that goes out.
    pub(super) fn take(&mut self, now: Instant) {
        if let Some(interval) = self.interval() {
            self.through = Some(self.through.map_or(now, |through| through.max(now)) + interval);
        }
    }

    /// Uncounts a task: it went out, but was not to be had any more.
    pub(super) fn put_back(&mut self) {
        if let (Some(interval), Some(through)) = (self.interval(), self.through) {
            self.through = through.checked_sub(interval);
        }
    }

    /// The time between two tasks; `None` without a limit, and when no task may go out.
    fn interval(&self) -> Option<Duration> {
        self.per_second.filter(|rate| *rate > RATE_MIN).map(|rate| Duration::from_secs_f64(rate.recip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moments at which tasks go out, in milliseconds, while there is always one waiting.
    fn moments(limit: &mut RateLimit, mut now: Instant, count: usize) -> Vec<u128> {
        let start = now;
        let mut moments = Vec::new();
        while moments.len() < count {
            now += limit.delay(now).expect("tasks go out");
            limit.take(now);
            moments.push((now - start).as_millis());
        }
        moments
    }

    fn limit(per_second: f64, now: Instant) -> RateLimit {
        let mut limit = RateLimit::default();
        assert!(limit.set(Some(per_second), now));
        limit
    }

    #[test]
    fn as_many_as_a_second_allows_go_at_once_and_the_others_evenly() {
        let now = Instant::now();
        assert_eq!(moments(&mut limit(4.0, now), now, 7), [0, 0, 0, 0, 250, 500, 750]);
        assert_eq!(moments(&mut limit(0.5, now), now, 3), [0, 2000, 4000]);
        assert_eq!(moments(&mut RateLimit::default(), now, 3), [0, 0, 0]);
    }

    #[test]
    fn a_pause_saves_up_one_second_at_most() {
        let now = Instant::now();
        let mut limit = limit(2.0, now);
        moments(&mut limit, now, 4);
        assert_eq!(moments(&mut limit, now + Duration::from_secs(60), 4), [0, 0, 500, 1000]);
    }

    #[test]
    fn a_limit_of_zero_stops_the_queue_until_it_is_raised() {
        let now = Instant::now();
        let mut limit = limit(0.0, now);
        assert_eq!(limit.delay(now), None);
        assert!(limit.set(Some(1.0), now));
        assert_eq!(limit.delay(now), Some(Duration::ZERO));
    }

    #[test]
    fn a_higher_limit_counts_at_once() {
        let now = Instant::now();
        let mut limit = limit(0.001, now);
        limit.take(now);
        assert_eq!(limit.delay(now), Some(Duration::from_secs(1000)));
        assert!(limit.set(Some(10.0), now));
        assert!(limit.delay(now).unwrap() <= Duration::from_secs(1));
        assert!(!limit.set(Some(10.0), now));
        assert!(limit.set(None, now));
        assert_eq!(limit.delay(now), Some(Duration::ZERO));
    }

    #[test]
    fn a_task_that_was_not_to_be_had_does_not_count() {
        let now = Instant::now();
        let mut limit = limit(0.5, now);
        limit.take(now);
        limit.put_back();
        assert_eq!(limit.delay(now), Some(Duration::ZERO));
    }
}
