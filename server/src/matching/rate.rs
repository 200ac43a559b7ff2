//! Rate limits of task queues, which workers set.

use std::time::{Duration, Instant};

/// Below this rate, in tasks per second, no task is allowed: the next one would be due after more than thirty years.
const RATE_MIN: f64 = 1e-9;

/// A limit on the rate of one queue's tasks: they are spaced evenly, but after a pause the tasks of one second are
/// allowed at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct RateLimit {
    per_second: Option<f64>,
    /// The time at which the counted tasks end when they are spaced evenly; `None` before the first.
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

    /// The time until the next task is allowed; `None` if no task is.
    pub(super) fn delay(&self, now: Instant) -> Option<Duration> {
        if self.per_second.is_none() {
            return Some(Duration::ZERO);
        }
        let interval = self.interval()?;
        let burst = Duration::from_secs(1).saturating_sub(interval);
        Some(self.through.map_or(Duration::ZERO, |through| through.saturating_duration_since(now + burst)))
    }

    /// Counts a delivered task.
    pub(super) fn take(&mut self, now: Instant) {
        if let Some(interval) = self.interval() {
            self.through = Some(self.through.map_or(now, |through| through.max(now)) + interval);
        }
    }

    /// Removes a delivered task from the count.
    pub(super) fn put_back(&mut self) {
        if let (Some(interval), Some(through)) = (self.interval(), self.through) {
            self.through = through.checked_sub(interval);
        }
    }

    /// The time between two tasks; `None` without a limit, or if no task is allowed.
    fn interval(&self) -> Option<Duration> {
        self.per_second.filter(|rate| *rate > RATE_MIN).map(|rate| Duration::from_secs_f64(rate.recip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times at which tasks are allowed, in milliseconds, while a task always waits.
    fn times(limit: &mut RateLimit, mut now: Instant, count: usize) -> Vec<u128> {
        let start = now;
        let mut times = Vec::new();
        while times.len() < count {
            now += limit.delay(now).expect("tasks go out");
            limit.take(now);
            times.push((now - start).as_millis());
        }
        times
    }

    fn limit(per_second: f64, now: Instant) -> RateLimit {
        let mut limit = RateLimit::default();
        assert!(limit.set(Some(per_second), now));
        limit
    }

    #[test]
    fn the_tasks_of_one_second_are_allowed_at_once_and_later_ones_evenly() {
        let now = Instant::now();
        assert_eq!(times(&mut limit(4.0, now), now, 7), [0, 0, 0, 0, 250, 500, 750]);
        assert_eq!(times(&mut limit(0.5, now), now, 3), [0, 2000, 4000]);
        assert_eq!(times(&mut RateLimit::default(), now, 3), [0, 0, 0]);
    }

    #[test]
    fn a_pause_allows_the_tasks_of_one_second_at_most() {
        let now = Instant::now();
        let mut limit = limit(2.0, now);
        times(&mut limit, now, 4);
        assert_eq!(times(&mut limit, now + Duration::from_secs(60), 4), [0, 0, 500, 1000]);
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
    fn a_returned_task_is_not_counted() {
        let now = Instant::now();
        let mut limit = limit(0.5, now);
        limit.take(now);
        limit.put_back();
        assert_eq!(limit.delay(now), Some(Duration::ZERO));
    }
}
