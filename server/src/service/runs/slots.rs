//! The workflow ids that have something in memory.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex};

use crate::service::core::Core;
use crate::service::runs::slot::{Slot, SlotKey, lock};

/// Calls for different workflow ids seldom wait for each other.
const SHARDS: usize = 64;

/// One slot for each workflow id.
#[derive(Debug)]
pub(in crate::service) struct Slots {
    shards: Vec<Mutex<HashMap<SlotKey, Arc<Slot>>>>,
    hasher: RandomState,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// The slot of a workflow id that has a run in memory.
    pub(super) fn find(&self, key: &SlotKey) -> Option<Arc<Slot>> {
        lock(self.shard(key)).get(key).cloned()
    }

    /// The slot of a workflow id, made when there is none.
    pub(in crate::service) fn get_or_make(&self, key: &SlotKey, core: &Arc<Core>) -> Arc<Slot> {
        let mut shard = lock(self.shard(key));
        Arc::clone(shard.entry(key.clone()).or_insert_with(|| Arc::new(Slot::new(key.clone(), core))))
    }

    pub(super) fn remove(&self, key: &SlotKey) {
        lock(self.shard(key)).remove(key);
    }

    /// A number by which a workflow id is known for as long as the engine lives. Different ids seldom have the same.
    pub(super) fn hash(&self, key: &SlotKey) -> u64 {
        self.hasher.hash_one(key)
    }

    fn shard(&self, key: &SlotKey) -> &Mutex<HashMap<SlotKey, Arc<Slot>>> {
        &self.shards[(self.hash(key) % SHARDS as u64) as usize]
    }

    /// For tests: how many workflow ids have something in memory.
    #[cfg(test)]
    pub(in crate::service) fn count(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}
