//! What keeps a skipping clock from jumping: work under way, and locks.

use std::collections::BTreeMap;

/// Something that stops jumps while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A workflow task or an activity that a worker has.
    Task,
    /// A task on its way from a queue to a worker.
    Match,
    /// A call that changes a run, from the moment it reads the time.
    Call,
    /// A query that waits for a worker.
    Query,
    /// An update that waits for a worker.
    Update,
    /// A sleeper that has been woken and has not gone on yet.
    Sleeper,
    /// Runs of a file that have something to do and are not in memory yet.
    Recovery,
    /// A deadline whose consequences are being worked out.
    Deadline,
    /// A condition that is being asked, while everything else waits.
    Asked,
    /// A caller that lets time jump by itself, one deadline after the other.
    Stepper,
}

const KINDS: [(Holder, &str); 10] = [
    (Holder::Task, "tasks at workers"),
    (Holder::Match, "tasks on their way"),
    (Holder::Call, "calls under way"),
    (Holder::Query, "queries waiting for a worker"),
    (Holder::Update, "updates waiting for a worker"),
    (Holder::Sleeper, "sleepers waking up"),
    (Holder::Recovery, "recovery"),
    (Holder::Deadline, "deadlines happening"),
    (Holder::Asked, "conditions being asked"),
    (Holder::Stepper, "callers who skip from deadline to deadline"),
];

/// Counts what is under way. It is guarded by the lock of the deadlines: see [`Timers`](super::timers::Timers).
#[derive(Debug, Default)]
pub(super) struct Holders {
    counts: [i64; KINDS.len()],
}

impl Holders {
    pub(super) fn change(&mut self, kind: Holder, by: i64) {
        self.counts[kind as usize] += by;
    }

    /// Whether nothing is under way but steppers.
    pub(super) fn is_settled(&self) -> bool {
        KINDS.iter().all(|(kind, _)| *kind == Holder::Stepper || self.counts[*kind as usize] == 0)
    }

    /// Whether somebody else decides about each jump.
    pub(super) fn is_stepped(&self) -> bool {
        self.counts[Holder::Stepper as usize] != 0
    }

    /// What is under way, in words.
    pub(super) fn explain(&self) -> String {
        let each: Vec<_> = KINDS
            .iter()
            .map(|(kind, name)| (self.counts[*kind as usize], name))
            .filter(|(count, _)| *count != 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        if each.is_empty() { "nothing under way".to_owned() } else { format!("under way: {}", each.join(", ")) }
    }
}

/// Who has locked a skipping clock, and who wants it to jump nevertheless.
#[derive(Debug)]
pub(super) struct Locks {
    takers: BTreeMap<String, i64>,
    /// While somebody waits for the engine's time to go on, the lock that the clock starts with does not count.
    waiting: usize,
}

/// The lock that a clock starts with.
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

    /// Takes one lock away, whoever took it.
    pub(super) fn unlock(&mut self, taker: &str) -> Result<(), UnbalancedUnlock> {
        let label = match self.takers.get(taker) {
            Some(_) => taker.to_owned(),
            // Locks are counted, not owned: any may be meant.
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

    /// Who has locked it, in words.
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
    fn a_waiting_caller_lifts_the_first_lock_and_no_other() {
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
