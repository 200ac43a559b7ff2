//! Time: real, or skipped while the engine is idle.
//!
//! A time-skipping clock runs at the pace of the real one and jumps to the next deadline whenever it is not locked and
//! no holder could still cause an earlier event ([`ClockHolder`]). One lock guards deadlines, holders and locks; under it,
//! [`timers`] decides about each jump.

mod holders;
pub(crate) mod timers;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub(crate) use holders::ClockHolder;
pub use holders::UnbalancedUnlock;

use crate::engine::time::Time;

/// The mode of an engine's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockMode {
    /// Follows the wall clock.
    #[default]
    Real,
    /// Follows the wall clock while locked; otherwise jumps from deadline to deadline. Starts locked.
    Skipping,
}

/// The clock of one engine. It never runs backwards.
#[derive(Debug)]
pub(crate) struct Clock {
    mode: ClockMode,
    /// The start of the clock, by the machine's monotonic clock.
    started: Instant,
    /// The time at `started`, in nanoseconds, increased by later steps of the wall clock. It never decreases.
    origin: AtomicI64,
    /// For time-skipping clocks: the sum of all jumps, in nanoseconds.
    skipped: AtomicI64,
}

impl Clock {
    /// Creates a clock that shows at least `not_before`, so that recorded events stay in the past.
    pub(crate) fn new(mode: ClockMode, not_before: Time) -> Self {
        let origin = wall_time().max(not_before);
        Self { mode, started: Instant::now(), origin: AtomicI64::new(origin.nanos()), skipped: AtomicI64::new(0) }
    }

    pub(crate) fn now(&self) -> Time {
        let elapsed = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let origin = match self.mode {
            // The clock follows a wall clock that was set ahead, or a machine that slept. It does not follow one that
            // was set back.
            ClockMode::Real => {
                let by_wall = wall_time().nanos().saturating_sub(elapsed);
                self.origin.fetch_max(by_wall, Ordering::AcqRel).max(by_wall)
            }
            ClockMode::Skipping => self.origin.load(Ordering::Acquire),
        };
        Time::from_nanos(origin.saturating_add(elapsed))
    }

    pub(crate) fn is_skipping(&self) -> bool {
        self.mode == ClockMode::Skipping
    }

    /// The sum of all jumps.
    pub(crate) fn skipped(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.skipped.load(Ordering::Acquire)).unwrap_or(0))
    }

    /// Jumps to a later time. The caller holds the lock of the deadlines.
    fn advance_to(&self, moment: Time) {
        let ahead = moment.nanos().saturating_sub(self.now().nanos());
        if ahead > 0 {
            self.origin.fetch_add(ahead, Ordering::AcqRel);
            self.skipped.fetch_add(ahead, Ordering::AcqRel);
        }
    }
}

pub(crate) fn wall_time() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_new_clock_continues_after_the_last_recorded_time() {
        let ahead = wall_time() + Duration::from_secs(3600);
        for mode in [ClockMode::Real, ClockMode::Skipping] {
            let clock = Clock::new(mode, ahead);
            let first = clock.now();
            assert!(first >= ahead && clock.now() >= first, "{mode:?}");
        }
    }

    #[test]
    fn jumps_are_visible_to_all_threads_and_never_go_back() {
        let clock = Clock::new(ClockMode::Skipping, Time::default());
        let before = clock.now();
        clock.advance_to(before + Duration::from_secs(3600));
        assert!(clock.now() >= before + Duration::from_secs(3600));
        clock.advance_to(before);
        assert!(clock.now() >= before + Duration::from_secs(3600));
        assert!(clock.skipped() <= Duration::from_secs(3600));
    }
}
