//! Time: real, or skipping while nothing happens.
//!
//! A skipping clock runs at the pace of the real one and jumps to the next deadline whenever it may: nobody has locked
//! it, and nothing is under way that could still bring about something earlier ([`Holders`]). The jump itself is made
//! by the thread that fires deadlines, in [`timers`].

mod holders;
pub(crate) mod timers;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

pub(crate) use holders::{Hold, Holder, Holders};

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
    /// Who has locked it, and how often.
    locks: Mutex<BTreeMap<String, i64>>,
}

/// An unlock without a lock.
#[derive(Debug, thiserror::Error)]
#[error("time skipping is not locked: there are more unlocks than locks")]
pub struct UnbalancedUnlock;

impl Clock {
    /// A clock that shows at least `not_before`: what has happened stays in the past.
    pub(crate) fn new(mode: ClockMode, not_before: Time) -> Self {
        let origin = wall_time().max(not_before);
        let mut locks = BTreeMap::new();
        locks.insert("start".to_owned(), 1);
        Self {
            mode,
            started: Instant::now(),
            origin: AtomicI64::new(origin.nanos()),
            skipped: AtomicI64::new(0),
            locks: Mutex::new(locks),
        }
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

    /// Jumps to a later moment. Only the timer thread may do so.
    fn advance_to(&self, moment: Time) {
        let ahead = moment.nanos().saturating_sub(self.now().nanos());
        if ahead > 0 {
            self.origin.fetch_add(ahead, Ordering::AcqRel);
            self.skipped.fetch_add(ahead, Ordering::AcqRel);
        }
    }

    /// Stops jumps until the matching [`Clock::unlock`].
    pub(crate) fn lock(&self, taker: &str) {
        *self.locks().entry(taker.to_owned()).or_default() += 1;
    }

    /// Takes one lock away, whoever took it.
    pub(crate) fn unlock(&self, taker: &str) -> Result<(), UnbalancedUnlock> {
        let mut locks = self.locks();
        let label = match locks.get(taker) {
            Some(_) => taker.to_owned(),
            // Locks are counted, not owned: any may be meant.
            None => locks.keys().next().cloned().ok_or(UnbalancedUnlock)?,
        };
        if let Some(count) = locks.get_mut(&label) {
            *count -= 1;
            if *count <= 0 {
                locks.remove(&label);
            }
        }
        Ok(())
    }

    pub(crate) fn is_locked(&self) -> bool {
        !self.locks().is_empty()
    }

    /// Who has locked it, in words.
    fn explain_locks(&self) -> String {
        let locks = self.locks();
        if locks.is_empty() {
            return "no locks".to_owned();
        }
        let each: Vec<_> = locks.iter().map(|(taker, count)| format!("{count} by {taker}")).collect();
        format!("locks: {}", each.join(", "))
    }

    fn locks(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, i64>> {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn locks_are_counted() {
        let clock = Clock::new(ClockMode::Skipping, Time::default());
        assert!(clock.is_locked());
        clock.lock("a");
        clock.unlock("b").unwrap();
        clock.unlock("b").unwrap();
        assert!(!clock.is_locked());
        assert!(clock.unlock("b").is_err());
    }

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
