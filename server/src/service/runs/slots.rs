//! The workflow ids with runs in memory.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex};

use crate::service::core::Core;
use crate::service::runs::slot::{Slot, SlotKey, lock};

/// With this many shards, calls for different workflow ids seldom wait for each other.
const SHARDS: usize = 64;

/// One slot per workflow id.
#[derive(Debug)]
pub(in crate::service) struct Slots {
    shards: Vec<Mutex<HashMap<SlotKey, Arc<Slot>>>>,
    hasher: RandomState,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// Returns the slot of a workflow id with a run in memory.
    pub(super) fn find(&self, key: &SlotKey) -> Option<Arc<Slot>> {
        lock(self.shard(key)).get(key).cloned()
    }

    /// Returns the slot of a workflow id; creates it if there is none.
    pub(in crate::service) fn get_or_make(&self, key: &SlotKey, core: &Arc<Core>) -> Arc<Slot> {
        let mut shard = lock(self.shard(key));
        Arc::clone(shard.entry(key.clone()).or_insert_with(|| Arc::new(Slot::new(key.clone(), core))))
    }

    pub(super) fn remove(&self, key: &SlotKey) {
        lock(self.shard(key)).remove(key);
    }

    /// A hash of a workflow id, stable for the life of the engine. Different ids seldom have the same hash.
    pub(super) fn hash(&self, key: &SlotKey) -> u64 {
        self.hasher.hash_one(key)
    }

    fn shard(&self, key: &SlotKey) -> &Mutex<HashMap<SlotKey, Arc<Slot>>> {
        &self.shards[(self.hash(key) % SHARDS as u64) as usize]
    }

    /// For tests: the number of workflow ids with slots in memory.
    #[cfg(test)]
    pub(in crate::service) fn count(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}
