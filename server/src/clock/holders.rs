//! Holders and locks, which keep a time-skipping clock from jumping.

use std::collections::BTreeMap;

/// A kind of work that prevents jumps while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockHolder {
    /// A workflow task or an activity that a worker has.
    Task,
    /// A task on its way from a queue to a worker.
    Match,
    /// A call that changes a run, from its first reading of the time.
    Call,
    /// A query that waits for a worker.
    Query,
    /// An update that waits for a worker.
    Update,
    /// A sleeper that has been woken and has not continued yet.
    Sleeper,
    /// Due runs of a file that are not loaded yet.
    Recovery,
    /// A deadline that is being handled.
    Deadline,
    /// A waiting caller that is checking its condition.
    Condition,
    /// A message of a run to another run.
    Intent,
    /// A caller that makes the clock jump itself, one deadline after the other.
    Stepper,
}

const KINDS: [(ClockHolder, &str); 11] = [
    (ClockHolder::Task, "tasks at workers"),
    (ClockHolder::Match, "tasks on their way to workers"),
    (ClockHolder::Call, "running calls"),
    (ClockHolder::Query, "queries waiting for a worker"),
    (ClockHolder::Update, "updates waiting for a worker"),
    (ClockHolder::Sleeper, "sleepers waking up"),
    (ClockHolder::Recovery, "recovery"),
    (ClockHolder::Deadline, "deadlines happening"),
    (ClockHolder::Condition, "conditions being checked"),
    (ClockHolder::Intent, "messages between runs"),
    (ClockHolder::Stepper, "callers that skip from deadline to deadline"),
];

/// The number of holders of each kind. The lock of the deadlines guards it: see [`Timers`](super::timers::Timers).
#[derive(Debug, Default)]
pub(super) struct Holders {
    counts: [i64; KINDS.len()],
}

impl Holders {
    pub(super) fn change(&mut self, kind: ClockHolder, by: i64) {
        self.counts[kind as usize] += by;
    }

    /// Whether there are no holders except steppers.
    pub(super) fn is_settled(&self) -> bool {
        KINDS.iter().all(|(kind, _)| *kind == ClockHolder::Stepper || self.counts[*kind as usize] == 0)
    }

    /// Whether a stepper decides about each jump.
    pub(super) fn is_stepped(&self) -> bool {
        self.counts[ClockHolder::Stepper as usize] != 0
    }

    /// Describes the holders.
    pub(super) fn explain(&self) -> String {
        let each: Vec<_> = KINDS
            .iter()
            .map(|(kind, name)| (self.counts[*kind as usize], name))
            .filter(|(count, _)| *count != 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        if each.is_empty() { "nothing in progress".to_owned() } else { format!("in progress: {}", each.join(", ")) }
    }
}

/// The locks of a time-skipping clock, and the waiting callers that override the first one.
#[derive(Debug)]
pub(super) struct Locks {
    takers: BTreeMap<String, i64>,
    /// Callers that wait for the engine's time to advance. While there are any, the initial lock does not count.
    waiting: usize,
}

/// The lock that every clock starts with.
const START: &str = "start";

/// An unlock without a lock.
#[derive(Debug, thiserror::Error)]
#[error("time skipping is not locked: there are more unlocks than locks")]
pub struct UnbalancedUnlock;

impl Default for Locks {
    fn default() -> Self {
        Self { takers: BTreeMap::from([(START.to_owned(), 1)]), waiting: 0 }
    }
}

impl Locks {
    pub(super) fn lock(&mut self, taker: &str) {
        *self.takers.entry(taker.to_owned()).or_default() += 1;
    }

    /// Removes one lock, of any taker.
    pub(super) fn unlock(&mut self, taker: &str) -> Result<(), UnbalancedUnlock> {
        let label = match self.takers.get(taker) {
            Some(_) => taker.to_owned(),
            // Locks are counted, not owned: any lock may be meant.
            None => self.takers.keys().next().cloned().ok_or(UnbalancedUnlock)?,
        };
        if let Some(count) = self.takers.get_mut(&label) {
            *count -= 1;
            if *count <= 0 {
                self.takers.remove(&label);
            }
        }
        Ok(())
    }

    pub(super) fn wait(&mut self) {
        self.waiting += 1;
    }

    pub(super) fn waited(&mut self) {
        self.waiting -= 1;
    }

    pub(super) fn is_locked(&self) -> bool {
        self.takers.keys().any(|taker| taker != START || self.waiting == 0)
    }

    /// Describes the locks.
    pub(super) fn explain(&self) -> String {
        let mut each: Vec<_> = self.takers.iter().map(|(taker, count)| format!("{count} by {taker}")).collect();
        if each.is_empty() {
            each.push("none".to_owned());
        }
        let waiting = match self.waiting {
            0 => String::new(),
            count => format!("; {count} callers let time jump (the lock by {START} does not count)"),
        };
        format!("locks: {}{waiting}", each.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_counted() {
        let mut locks = Locks::default();
        assert!(locks.is_locked());
        locks.lock("a");
        locks.unlock("b").unwrap();
        locks.unlock("b").unwrap();
        assert!(!locks.is_locked());
        assert!(locks.unlock("b").is_err());
    }

    #[test]
    fn a_waiting_caller_overrides_only_the_initial_lock() {
        let mut locks = Locks::default();
        locks.wait();
        locks.wait();
        assert!(!locks.is_locked());
        locks.lock("a");
        assert!(locks.is_locked());
        locks.unlock("a").unwrap();
        locks.waited();
        assert!(!locks.is_locked());
        locks.waited();
        assert!(locks.is_locked());
    }
}
