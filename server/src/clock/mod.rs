//! Time: real, or skipping while nothing happens.
//!
//! A skipping clock runs at the pace of the real one and jumps to the next deadline whenever it may: nobody has locked
//! it, and nothing is under way that could still bring about something earlier ([`Holder`]). Deadlines, holders and locks
//! have one lock, under which [`timers`] decides about each jump.

mod holders;
pub(crate) mod timers;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub(crate) use holders::Holder;
pub use holders::UnbalancedUnlock;

use crate::engine::time::Time;

/// How an engine's clock runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockMode {
    /// As the wall clock does.
    #[default]
    Real,
    /// As the wall clock does while locked; otherwise it jumps from deadline to deadline. Starts locked.
    Skipping,
}

/// The clock of one engine. It never goes back.
#[derive(Debug)]
pub(crate) struct Clock {
    mode: ClockMode,
    /// When it was started, by the machine's monotonic clock.
    started: Instant,
    /// What it showed at `started`, in nanoseconds; more, where it has jumped ahead since. It never falls.
    origin: AtomicI64,
    /// Skipping clocks: how far they have jumped, in nanoseconds.
    skipped: AtomicI64,
}

impl Clock {
    /// A clock that shows at least `not_before`: what has happened stays in the past.
    pub(crate) fn new(mode: ClockMode, not_before: Time) -> Self {
        let origin = wall_time().max(not_before);
        Self { mode, started: Instant::now(), origin: AtomicI64::new(origin.nanos()), skipped: AtomicI64::new(0) }
    }

    pub(crate) fn now(&self) -> Time {
        let elapsed = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let origin = match self.mode {
            // Set ahead, or asleep for a while, the wall clock is followed. Set back, it is not: time goes on.
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

    /// How far it has jumped altogether.
    pub(crate) fn skipped(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.skipped.load(Ordering::Acquire)).unwrap_or(0))
    }

    /// Jumps to a later moment. The lock of the deadlines is held.
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
    fn time_goes_on_from_what_has_happened() {
        let ahead = wall_time() + Duration::from_secs(3600);
        for mode in [ClockMode::Real, ClockMode::Skipping] {
            let clock = Clock::new(mode, ahead);
            let first = clock.now();
            assert!(first >= ahead && clock.now() >= first, "{mode:?}");
        }
    }

    #[test]
    fn a_jump_is_seen_by_everyone_and_never_goes_back() {
        let clock = Clock::new(ClockMode::Skipping, Time::default());
        let before = clock.now();
        clock.advance_to(before + Duration::from_secs(3600));
        assert!(clock.now() >= before + Duration::from_secs(3600));
        clock.advance_to(before);
        assert!(clock.now() >= before + Duration::from_secs(3600));
        assert!(clock.skipped() <= Duration::from_secs(3600));
    }
}
