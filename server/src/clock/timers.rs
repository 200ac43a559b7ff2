//! The thread that lets deadlines happen, and the one ordered set of them.
//!
//! It is the engine's own thread: a blocked or dropped runtime of the user cannot stop it.
//!
//! Deadlines, what is under way and locks change under one lock, and a skipping clock jumps under it. Work that ends and
//! the deadline that it leads to are one step ([`Timers::settle`]): between them, the clock would jump too far.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::holders::{Holders, Locks, UnbalancedUnlock};
use super::{Clock, Holder};
use crate::engine::time::Time;

/// The wall clock may be set, or the machine sleep: the thread looks up at least this often.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// Something with a deadline.
pub(crate) trait Due: Send + Sync {
    /// Its moment has come.
    fn fire(self: Arc<Self>, now: Time);
}

/// Whether tasks wait that hold the clock for a moment of real time.
pub(crate) trait Backlog: Send + Sync {
    /// How much longer they hold it; `None` when nothing does.
    fn holds_for(&self) -> Option<Duration>;

    /// The same in words.
    fn explain(&self) -> String;
}

/// A deadline in the set; its number makes deadlines of the same moment happen in the order they were set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    at: Time,
    number: u64,
}

impl Ticket {
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
    entries: BTreeMap<Ticket, Entry>,
    holders: Holders,
    locks: Locks,
    /// Who wants to know when nothing is under way any more.
    settled: Vec<oneshot::Sender<Hold>>,
    /// Counts what may let the clock jump, or change where to: whoever decided about a jump without the lock looks again.
    changes: u64,
    /// When the thread's nap ends by itself.
    naps_until: Option<Time>,
    stopped: bool,
}

/// The deadlines of one engine, and what keeps its clock from jumping to the next of them.
pub(crate) struct Timers {
    clock: Arc<Clock>,
    set: Mutex<Set>,
    changed: Condvar,
    next_number: AtomicU64,
    /// For tests: called after each change, without the lock, as if other threads came in there.
    #[cfg(test)]
    after_change: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timers").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// What a wish to jump came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Jumped {
    /// The clock shows the next deadline.
    Yes,
    /// Something is under way, or the clock is locked.
    Held,
    /// There is no deadline to jump to.
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
    pub(crate) fn arm(&self, at: Time, due: Arc<dyn Due>) -> Ticket {
        self.insert(at, Entry::Due(due))
    }

    pub(crate) fn disarm(&self, ticket: Ticket) {
        self.set().entries.remove(&ticket);
        self.after_change();
    }

    /// Replaces a deadline, and counts what has begun and ended, in one step.
    ///
    /// Work that ends often leads to a deadline, as a failed attempt does to the next one. Were it not counted any more
    /// before that deadline is set, the clock would jump to a later one.
    pub(crate) fn settle(
        &self,
        armed: Option<Ticket>,
        next: Option<Time>,
        due: impl FnOnce() -> Arc<dyn Due>,
        counts: [(Holder, i64); 2],
    ) -> Option<Ticket> {
        let moves = armed.map(Ticket::at) != next;
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
            self.look_again(&mut set);
        }
        drop(set);
        self.after_change();
        ticket
    }

    /// Resolves when the clock has reached that moment; never, when the engine stops before. What it gives stops further
    /// jumps, so that the sleeper wakes at its moment and not at a later one.
    pub(crate) fn sleep_until(&self, at: Time) -> oneshot::Receiver<Hold> {
        let (sender, receiver) = oneshot::channel();
        self.insert(at, Entry::Sleeper(sender));
        receiver
    }

    fn insert(&self, at: Time, entry: Entry) -> Ticket {
        let mut set = self.set();
        let ticket = self.insert_into(&mut set, at, entry);
        drop(set);
        self.after_change();
        ticket
    }

    fn insert_into(&self, set: &mut Set, at: Time, entry: Entry) -> Ticket {
        let ticket = Ticket { at, number: self.next_number.fetch_add(1, Ordering::Relaxed) };
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

    /// Counts one thing more under way until the returned value is dropped.
    pub(crate) fn hold(self: &Arc<Self>, kind: Holder) -> Hold {
        let timers = self.clock.is_skipping().then(|| Arc::clone(self));
        if timers.is_some() {
            self.set().holders.change(kind, 1);
        }
        Hold { timers, kind }
    }

    fn release(&self, kind: Holder) {
        let mut set = self.set();
        set.holders.change(kind, -1);
        self.look_again(&mut set);
        drop(set);
        self.after_change();
    }

    /// Stops jumps until the matching [`Timers::unlock`]. When it returns, none is under way.
    pub(crate) fn lock(&self, taker: &str) {
        self.set().locks.lock(taker);
    }

    /// Takes one lock away, whoever took it.
    pub(crate) fn unlock(&self, taker: &str) -> Result<(), UnbalancedUnlock> {
        let mut set = self.set();
        set.locks.unlock(taker)?;
        self.look_again(&mut set);
        Ok(())
    }

    /// Lets time jump for a caller that waits, until [`Waiting::end`].
    pub(crate) fn wait(self: &Arc<Self>) -> Arc<Waiting> {
        let mut set = self.set();
        set.locks.wait();
        self.look_again(&mut set);
        drop(set);
        Arc::new(Waiting { timers: Arc::clone(self), is_over: AtomicBool::new(false) })
    }

    /// Resolves when nothing is under way, locked or not. While what it gives is kept, nothing jumps. Never, on a real
    /// clock, and when the engine stops before.
    pub(crate) fn settled(&self) -> oneshot::Receiver<Hold> {
        let (sender, receiver) = oneshot::channel();
        let mut set = self.set();
        set.settled.push(sender);
        self.look_again(&mut set);
        receiver
    }

    /// Jumps to the next deadline, if nothing is under way; the thread then lets it happen.
    pub(crate) fn jump_if_settled(&self, backlog: &dyn Backlog) -> Jumped {
        let seen = self.set().changes;
        // Asked without the lock: the answer needs locks of others.
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
                self.look_again(&mut set);
                Jumped::Yes
            }
        }
    }

    /// Something happened that may let a skipping clock jump, or keep it from jumping as far as it was about to.
    fn look_again(&self, set: &mut Set) {
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

    /// Lets deadlines happen until [`Timers::stop`].
    pub(crate) fn run(self: &Arc<Self>, backlog: &dyn Backlog) {
        let mut set = self.set();
        while !set.stopped {
            let now = self.clock.now();
            if let Some(first) = set.entries.first_entry().filter(|first| first.key().at <= now) {
                let entry = first.remove();
                set.holders.change(Holder::Deadline, 1);
                drop(set);
                match entry {
                    Entry::Due(due) => due.fire(now),
                    Entry::Sleeper(sender) => drop(sender.send(self.hold(Holder::Sleeper))),
                }
                set = self.set();
                set.holders.change(Holder::Deadline, -1);
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
                // Asked without the lock: the answer needs locks of others.
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
                        // All at once: the first one that goes on must not jump before the others have looked.
                        set.holders.change(Holder::Asked, askers.len() as i64);
                        drop(set);
                        for asker in askers {
                            // One that has gone meanwhile gives its hold back.
                            drop(asker.send(Hold { timers: Some(Arc::clone(self)), kind: Holder::Asked }));
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

    /// Why time moves, or does not.
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

    /// For tests: what the clock would jump to.
    #[cfg(test)]
    pub(crate) fn first_deadline(&self) -> Option<Time> {
        self.set().entries.first_key_value().map(|(first, _)| first.at)
    }

    /// For tests: whether nothing is under way.
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

    /// For tests: what other threads do after each change.
    #[cfg(test)]
    pub(crate) fn interleave(&self, between: Option<Arc<dyn Fn() + Send + Sync>>) {
        *self.after_change.lock().unwrap_or_else(PoisonError::into_inner) = between;
    }
}

/// One thing under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    /// `None` on a real clock, which nothing holds.
    timers: Option<Arc<Timers>>,
    kind: Holder,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(timers) = &self.timers {
            timers.release(self.kind);
        }
    }
}

/// A caller for whom time jumps while it waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    timers: Arc<Timers>,
    is_over: AtomicBool,
}

impl Waiting {
    /// What it waited for is there: time does not jump for it any more. When it returns, no such jump is under way.
    pub(crate) fn end(&self) {
        if !self.is_over.swap(true, Ordering::AcqRel) {
            self.timers.set().locks.waited();
            self.timers.after_change();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.end();
    }
}
