//! The engine's set of deadlines, and the thread that fires them.
//!
//! The thread belongs to the engine: a blocked or dropped runtime of the user cannot stop it.
//!
//! One lock guards deadlines, holders and locks of the clock, and a time-skipping clock jumps under it. Ending some
//! work and setting the deadline that follows from it is one step ([`Timers::settle`]): between two steps the clock
//! could jump too far.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::holders::{Holders, Locks, UnbalancedUnlock};
use super::{Clock, ClockHolder};
use crate::engine::time::Time;

/// The wall clock may be set, or the machine may sleep, so the thread checks the time at least this often.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// The handler of a deadline.
pub(crate) trait Due: Send + Sync {
    /// Handles the deadline.
    fn fire(self: Arc<Self>, now: Time);
}

/// Tasks in queues that hold the clock for a short real time.
pub(crate) trait Backlog: Send + Sync {
    /// How much longer they hold the clock; `None` if they do not.
    fn holds_for(&self) -> Option<Duration>;

    /// Describes the tasks that hold the clock.
    fn explain(&self) -> String;
}

/// The key of a deadline in the set; the number orders deadlines of the same time by when they were set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DeadlineKey {
    at: Time,
    number: u64,
}

impl DeadlineKey {
    pub(crate) fn at(self) -> Time {
        self.at
    }
}

enum Entry {
    Due(Arc<dyn Due>),
    Sleeper(oneshot::Sender<Hold>),
}

#[derive(Default)]
struct Set {
    entries: BTreeMap<DeadlineKey, Entry>,
    holders: Holders,
    locks: Locks,
    /// Callers that wait until there are no holders.
    settled: Vec<oneshot::Sender<Hold>>,
    /// Counts changes that may affect jumps: a jump that was decided without the lock is decided again after a change.
    changes: u64,
    /// The time until which the thread sleeps.
    naps_until: Option<Time>,
    stopped: bool,
}

/// The deadlines of one engine, and the holders that keep its clock from jumping to the next deadline.
pub(crate) struct Timers {
    clock: Arc<Clock>,
    set: Mutex<Set>,
    changed: Condvar,
    next_number: AtomicU64,
    /// For tests: called after each change, without the lock, to simulate other threads.
    #[cfg(test)]
    after_change: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timers").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// The result of a requested jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Jumped {
    /// The clock has jumped to the next deadline.
    Yes,
    /// The clock is held or locked.
    Held,
    /// There is no deadline.
    NoDeadline,
}

impl Timers {
    pub(crate) fn new(clock: Arc<Clock>) -> Self {
        Self {
            clock,
            set: Mutex::new(Set::default()),
            changed: Condvar::new(),
            next_number: AtomicU64::new(0),
            #[cfg(test)]
            after_change: Mutex::new(None),
        }
    }

    /// Sets a deadline.
    pub(crate) fn arm(&self, at: Time, due: Arc<dyn Due>) -> DeadlineKey {
        self.insert(at, Entry::Due(due))
    }

    pub(crate) fn disarm(&self, ticket: DeadlineKey) {
        self.set().entries.remove(&ticket);
        self.after_change();
    }

    /// Replaces a deadline and changes the counts of holders, in one step.
    ///
    /// The end of some work often leads to a deadline, as a failed attempt leads to the next one. If the count fell
    /// before that deadline is set, the clock would jump to a later one.
    pub(crate) fn settle(
        &self,
        armed: Option<DeadlineKey>,
        next: Option<Time>,
        due: impl FnOnce() -> Arc<dyn Due>,
        counts: [(ClockHolder, i64); 2],
    ) -> Option<DeadlineKey> {
        let moves = armed.map(DeadlineKey::at) != next;
        if !moves && !self.clock.is_skipping() {
            return armed;
        }
        let mut set = self.set();
        let mut ticket = armed;
        if moves {
            ticket = next.map(|at| self.insert_into(&mut set, at, Entry::Due(due())));
            if let Some(armed) = armed {
                set.entries.remove(&armed);
            }
        }
        if self.clock.is_skipping() {
            for (kind, by) in counts {
                set.holders.change(kind, by);
            }
            self.recheck(&mut set);
        }
        drop(set);
        self.after_change();
        ticket
    }

    /// Resolves when the clock reaches `at`; never if the engine stops before. The returned hold prevents further
    /// jumps, so that the sleeper continues at `at` and not later.
    pub(crate) fn sleep_until(&self, at: Time) -> oneshot::Receiver<Hold> {
        let (sender, receiver) = oneshot::channel();
        self.insert(at, Entry::Sleeper(sender));
        receiver
    }

    fn insert(&self, at: Time, entry: Entry) -> DeadlineKey {
        let mut set = self.set();
        let ticket = self.insert_into(&mut set, at, entry);
        drop(set);
        self.after_change();
        ticket
    }

    fn insert_into(&self, set: &mut Set, at: Time, entry: Entry) -> DeadlineKey {
        let ticket = DeadlineKey { at, number: self.next_number.fetch_add(1, Ordering::Relaxed) };
        let is_first = set.entries.first_key_value().is_none_or(|(first, _)| ticket < *first);
        set.entries.insert(ticket, entry);
        if is_first {
            set.changes += 1;
            let naps_on = set.naps_until.is_some_and(|until| until <= at);
            if !naps_on || self.clock.is_skipping() {
                self.changed.notify_one();
            }
        }
        ticket
    }

    /// Adds a holder until the returned value is dropped.
    pub(crate) fn hold(self: &Arc<Self>, kind: ClockHolder) -> Hold {
        let timers = self.clock.is_skipping().then(|| Arc::clone(self));
        if timers.is_some() {
            self.set().holders.change(kind, 1);
        }
        Hold { timers, kind }
    }

    fn release(&self, kind: ClockHolder) {
        let mut set = self.set();
        set.holders.change(kind, -1);
        self.recheck(&mut set);
        drop(set);
        self.after_change();
    }

    /// Prevents jumps until the matching [`Timers::unlock`]. No jump is in progress after it returns.
    pub(crate) fn lock(&self, taker: &str) {
        self.set().locks.lock(taker);
    }

    /// Removes one lock, of any taker.
    pub(crate) fn unlock(&self, taker: &str) -> Result<(), UnbalancedUnlock> {
        let mut set = self.set();
        set.locks.unlock(taker)?;
        self.recheck(&mut set);
        Ok(())
    }

    /// Allows jumps for a waiting caller, until [`JumpPermit::end`].
    pub(crate) fn wait(self: &Arc<Self>) -> Arc<JumpPermit> {
        let mut set = self.set();
        set.locks.wait();
        self.recheck(&mut set);
        drop(set);
        Arc::new(JumpPermit { timers: Arc::clone(self), is_over: AtomicBool::new(false) })
    }

    /// Resolves when there are no holders, whether the clock is locked or not. The returned hold prevents jumps. Never
    /// resolves on a real clock, or if the engine stops before.
    pub(crate) fn settled(&self) -> oneshot::Receiver<Hold> {
        let (sender, receiver) = oneshot::channel();
        let mut set = self.set();
        set.settled.push(sender);
        self.recheck(&mut set);
        receiver
    }

    /// Jumps to the next deadline if there are no holders; the thread then fires the deadline.
    pub(crate) fn jump_if_settled(&self, backlog: &dyn Backlog) -> Jumped {
        let seen = self.set().changes;
        // The backlog is read without the lock, because it takes other locks.
        let waits = backlog.holds_for().is_some();
        let mut set = self.set();
        if waits || set.changes != seen || set.locks.is_locked() || !set.holders.is_settled() {
            return Jumped::Held;
        }
        match set.entries.first_key_value().map(|(first, _)| first.at) {
            None => Jumped::NoDeadline,
            Some(at) if at <= self.clock.now() => Jumped::Held,
            Some(at) => {
                self.clock.advance_to(at);
                self.recheck(&mut set);
                Jumped::Yes
            }
        }
    }

    /// Wakes the thread after a change that may allow a jump or bring the next deadline nearer.
    fn recheck(&self, set: &mut Set) {
        if self.clock.is_skipping() {
            set.changes += 1;
            self.changed.notify_one();
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        let mut set = self.set();
        set.stopped = true;
        set.entries.clear();
        set.settled.clear();
        self.changed.notify_one();
    }

    /// Fires deadlines until [`Timers::stop`].
    pub(crate) fn run(self: &Arc<Self>, backlog: &dyn Backlog) {
        let mut set = self.set();
        while !set.stopped {
            let now = self.clock.now();
            if let Some(first) = set.entries.first_entry().filter(|first| first.key().at <= now) {
                let entry = first.remove();
                set.holders.change(ClockHolder::Deadline, 1);
                drop(set);
                match entry {
                    Entry::Due(due) => due.fire(now),
                    Entry::Sleeper(sender) => drop(sender.send(self.hold(ClockHolder::Sleeper))),
                }
                set = self.set();
                set.holders.change(ClockHolder::Deadline, -1);
                set.changes += 1;
                continue;
            }
            let seen = set.changes;
            let next = set.entries.first_key_value().map(|(ticket, _)| ticket.at);
            let mut nap = next.map_or(LONGEST_NAP, |at| at.since(now)).min(LONGEST_NAP);
            set.settled.retain(|asker| !asker.is_closed());
            let jumps = next.filter(|_| !set.locks.is_locked() && !set.holders.is_stepped());
            let asks = !set.settled.is_empty();
            if self.clock.is_skipping() && (jumps.is_some() || asks) && set.holders.is_settled() {
                drop(set);
                // The backlog is read without the lock, because it takes other locks.
                let held = backlog.holds_for();
                set = self.set();
                if set.changes != seen {
                    continue;
                }
                match (held, jumps) {
                    _ if !set.holders.is_settled() => {}
                    (Some(held), _) => nap = nap.min(held.max(Duration::from_millis(1))),
                    (None, _) if asks => {
                        let askers = std::mem::take(&mut set.settled);
                        // All callers get holds at once: the first one must not cause a jump before the others have
                        // checked their conditions.
                        set.holders.change(ClockHolder::Condition, askers.len() as i64);
                        drop(set);
                        for asker in askers {
                            // If the caller has gone, this drops its hold.
                            drop(asker.send(Hold { timers: Some(Arc::clone(self)), kind: ClockHolder::Condition }));
                        }
                        set = self.set();
                        continue;
                    }
                    (None, Some(at)) if !set.locks.is_locked() => {
                        self.clock.advance_to(at);
                        continue;
                    }
                    (None, _) => {}
                }
            }
            if set.changes == seen && !set.stopped {
                set.naps_until = Some(now + nap);
                set = self.changed.wait_timeout(set, nap).unwrap_or_else(PoisonError::into_inner).0;
                set.naps_until = None;
            }
        }
    }

    /// Describes why time advances or does not.
    pub(crate) fn explain(&self, backlog: &dyn Backlog) -> String {
        let waiting = backlog.explain();
        let now = self.clock.now();
        let set = self.set();
        let next: Vec<_> = set
            .entries
            .keys()
            .take(10)
            .map(|ticket| format!("in {:.3} s", ticket.at.since(now).as_secs_f64()))
            .collect();
        let next = if next.is_empty() { "none".to_owned() } else { next.join(", ") };
        format!("{}; {}; {waiting}; next deadlines: {next}", set.locks.explain(), set.holders.explain())
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For tests: the time of the next deadline.
    #[cfg(test)]
    pub(crate) fn first_deadline(&self) -> Option<Time> {
        self.set().entries.first_key_value().map(|(first, _)| first.at)
    }

    /// For tests: whether there are no holders.
    #[cfg(test)]
    pub(crate) fn is_settled(&self) -> bool {
        self.set().holders.is_settled()
    }

    #[cfg(not(test))]
    fn after_change(&self) {}

    #[cfg(test)]
    fn after_change(&self) {
        let between = self.after_change.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(between) = between {
            between();
        }
    }

    /// For tests: sets the changes that other threads make after each change.
    #[cfg(test)]
    pub(crate) fn interleave(&self, between: Option<Arc<dyn Fn() + Send + Sync>>) {
        *self.after_change.lock().unwrap_or_else(PoisonError::into_inner) = between;
    }
}

/// A holder of the clock, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    /// `None` on a real clock, which never jumps.
    timers: Option<Arc<Timers>>,
    kind: ClockHolder,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(timers) = &self.timers {
            timers.release(self.kind);
        }
    }
}

/// Allows jumps while a caller waits.
#[derive(Debug)]
pub(crate) struct JumpPermit {
    timers: Arc<Timers>,
    is_over: AtomicBool,
}

impl JumpPermit {
    /// Ends the permit, when the caller's condition is met. No jump for it is in progress after this returns.
    pub(crate) fn end(&self) {
        if !self.is_over.swap(true, Ordering::AcqRel) {
            self.timers.set().locks.waited();
            self.timers.after_change();
        }
    }
}

impl Drop for JumpPermit {
    fn drop(&mut self) {
        self.end();
    }
}
