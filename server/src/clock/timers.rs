//! The thread that lets deadlines happen, and the one ordered set of them.
//!
//! It is the engine's own thread: a blocked or dropped runtime of the user cannot stop it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Clock, Hold, Holder, Holders};
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
    /// Something changed that the thread must look at before it naps.
    poked: bool,
    /// When the thread's nap ends by itself.
    naps_until: Option<Time>,
    stopped: bool,
}

/// The deadlines of one engine.
pub(crate) struct Timers {
    clock: Arc<Clock>,
    holders: Holders,
    set: Mutex<Set>,
    changed: Condvar,
    next_number: AtomicU64,
}

impl std::fmt::Debug for Timers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timers").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Timers {
    pub(crate) fn new(clock: Arc<Clock>, holders: Holders) -> Self {
        Self {
            clock,
            holders,
            set: Mutex::new(Set::default()),
            changed: Condvar::new(),
            next_number: AtomicU64::new(0),
        }
    }

    /// Sets a deadline.
    pub(crate) fn arm(&self, at: Time, due: Arc<dyn Due>) -> Ticket {
        self.insert(at, Entry::Due(due))
    }

    pub(crate) fn disarm(&self, ticket: Ticket) {
        self.set().entries.remove(&ticket);
    }

    /// Resolves when the clock has reached that moment; never, when the engine stops before. What it gives stops further
    /// jumps, so that the sleeper wakes at its moment and not at a later one.
    pub(crate) fn sleep_until(&self, at: Time) -> oneshot::Receiver<Hold> {
        let (sender, receiver) = oneshot::channel();
        self.insert(at, Entry::Sleeper(sender));
        receiver
    }

    fn insert(&self, at: Time, entry: Entry) -> Ticket {
        let ticket = Ticket { at, number: self.next_number.fetch_add(1, Ordering::Relaxed) };
        let mut set = self.set();
        let is_first = set.entries.first_key_value().is_none_or(|(first, _)| ticket < *first);
        set.entries.insert(ticket, entry);
        if is_first {
            set.poked = true;
            let naps_on = set.naps_until.is_some_and(|until| until <= at);
            if !naps_on || self.clock.is_skipping() {
                self.changed.notify_one();
            }
        }
        ticket
    }

    /// Something happened that may let a skipping clock jump.
    pub(crate) fn poke(&self) {
        if self.clock.is_skipping() {
            self.set().poked = true;
            self.changed.notify_one();
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        let mut set = self.set();
        set.stopped = true;
        set.entries.clear();
        self.changed.notify_one();
    }

    /// Lets deadlines happen until [`Timers::stop`].
    pub(crate) fn run(&self, backlog: &dyn Backlog) {
        let mut set = self.set();
        while !set.stopped {
            set.poked = false;
            let now = self.clock.now();
            if let Some(first) = set.entries.first_entry().filter(|first| first.key().at <= now) {
                let entry = first.remove();
                drop(set);
                match entry {
                    Entry::Due(due) => due.fire(now),
                    Entry::Sleeper(sender) => drop(sender.send(self.holders.hold(Holder::Sleeper))),
                }
                set = self.set();
                continue;
            }
            let next = set.entries.first_key_value().map(|(ticket, _)| ticket.at);
            let mut nap = next.map_or(LONGEST_NAP, |at| at.since(now)).min(LONGEST_NAP);
            if let Some(at) = next
                && self.clock.is_skipping()
                && !self.clock.is_locked()
            {
                drop(set);
                // Asked without the lock: the answer needs locks of others.
                let held = self.held_for(backlog);
                set = self.set();
                if set.poked {
                    continue;
                }
                match held {
                    None => {
                        self.clock.advance_to(at);
                        continue;
                    }
                    Some(held) => nap = nap.min(held),
                }
            }
            if !set.poked && !set.stopped {
                set.naps_until = Some(now + nap);
                set = self.changed.wait_timeout(set, nap).unwrap_or_else(PoisonError::into_inner).0;
                set.naps_until = None;
            }
        }
    }

    /// How long the clock may not jump, as far as can be told now.
    fn held_for(&self, backlog: &dyn Backlog) -> Option<Duration> {
        // Order matters: a task leaves its queue for a holder, never the other way without an event.
        if let Some(held) = backlog.holds_for() {
            return Some(held.max(Duration::from_millis(1)));
        }
        (!self.holders.is_idle()).then_some(LONGEST_NAP)
    }

    /// Why time moves, or does not.
    pub(crate) fn explain(&self, backlog: &dyn Backlog) -> String {
        let now = self.clock.now();
        let next: Vec<_> = self
            .set()
            .entries
            .keys()
            .take(10)
            .map(|ticket| format!("in {:.3} s", ticket.at.since(now).as_secs_f64()))
            .collect();
        let next = if next.is_empty() { "none".to_owned() } else { next.join(", ") };
        let locks = self.clock.explain_locks();
        format!("{locks}; {}; {}; next deadlines: {next}", self.holders.explain(), backlog.explain())
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
