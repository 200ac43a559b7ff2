//! What is under way and keeps a skipping clock from jumping.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Something that stops jumps while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A workflow task or an activity that a worker has.
    Task,
    /// A task on its way from a queue to a worker.
    Match,
    /// A query that waits for a worker.
    Query,
    /// An update that waits for a worker.
    Update,
    /// A sleeper that has been woken and has not gone on yet.
    Sleeper,
    /// Runs of a file that have something to do and are not in memory yet.
    Recovery,
}

const KINDS: [(Holder, &str); 6] = [
    (Holder::Task, "tasks at workers"),
    (Holder::Match, "tasks on their way"),
    (Holder::Query, "queries waiting for a worker"),
    (Holder::Update, "updates waiting for a worker"),
    (Holder::Sleeper, "sleepers waking up"),
    (Holder::Recovery, "recovery"),
];

/// Counts what is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holders {
    counts: Arc<[AtomicI64; KINDS.len()]>,
}

impl Holders {
    /// Counts one more until the returned value is dropped.
    pub(crate) fn hold(&self, kind: Holder) -> Hold {
        self.change(kind, 1);
        Hold { holders: self.clone(), kind }
    }

    pub(crate) fn change(&self, kind: Holder, by: i64) {
        self.counts[kind as usize].fetch_add(by, Ordering::SeqCst);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.counts.iter().all(|count| count.load(Ordering::SeqCst) == 0)
    }

    /// What is under way, in words.
    pub(crate) fn explain(&self) -> String {
        let each: Vec<_> = KINDS
            .iter()
            .map(|(kind, name)| (self.counts[*kind as usize].load(Ordering::SeqCst), name))
            .filter(|(count, _)| *count != 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        if each.is_empty() { "nothing under way".to_owned() } else { format!("under way: {}", each.join(", ")) }
    }
}

/// One thing under way.
#[derive(Debug)]
pub(crate) struct Hold {
    holders: Holders,
    kind: Holder,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holders.change(self.kind, -1);
    }
}
