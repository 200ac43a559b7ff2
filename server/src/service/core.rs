//! What the parts of one engine share.

use crate::clock::Clock;
use crate::clock::timers::Ticket;
use crate::clock::timers::Timers;
use crate::matching::Matching;
use crate::model::RunKey;
use crate::namespaces::Namespaces;
use crate::service::calls::direct::DirectQuery;
use crate::service::runs::closed_runs::ClosedRuns;
use crate::service::runs::idle::IdleRuns;
use crate::service::runs::slot::Slot;
use crate::service::runs::slot::SlotKey;
use crate::service::runs::task::Task;
use crate::store::CommitSeq;
use crate::store::Store;
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use tonic::Status;

pub(super) const SHARDS: usize = 64;

/// Everything one engine shares.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Arc<Clock>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) matching: Arc<Matching<Task>>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) namespaces: Arc<Namespaces>,
    /// What the store was opened with: who had a task then is gone with the process before.
    pub(in crate::service) workers_are_gone: bool,
    pub(in crate::service) idle: Mutex<IdleRuns>,
    /// Nobody has the engine any more.
    pub(in crate::service) is_stopping: AtomicBool,
    /// Open runs that are in the store alone and have a deadline.
    pub(in crate::service) dormant: Mutex<HashMap<RunKey, Ticket>>,
    pub(super) shards: Vec<Mutex<HashMap<SlotKey, Arc<Slot>>>>,
    pub(in crate::service) hasher: RandomState,
    pub(in crate::service) closed: Mutex<ClosedRuns>,
    /// Queries with tasks of their own, by number.
    pub(in crate::service) direct_queries: Mutex<HashMap<u64, Arc<DirectQuery>>>,
    pub(in crate::service) next_query: AtomicU64,
}

impl Core {
    pub(crate) fn new(
        clock: Clock,
        store: Arc<dyn Store>,
        namespaces: Arc<Namespaces>,
        workers_are_gone: bool,
    ) -> Arc<Self> {
        let clock = Arc::new(clock);
        let remembers_stored = !store.outlives_process();
        // Workers may still have queries of a process before this one; their numbers lie behind.
        let next_query = AtomicU64::new(u64::try_from(clock.now().nanos()).unwrap_or(0));
        let timers = Arc::new(Timers::new(Arc::clone(&clock)));
        Arc::new(Self {
            matching: Arc::new(Matching::new(Arc::clone(&timers))),
            timers,
            clock,
            store,
            namespaces,
            workers_are_gone,
            is_stopping: AtomicBool::new(false),
            idle: Mutex::default(),
            dormant: Mutex::default(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            closed: Mutex::new(ClosedRuns::new(remembers_stored)),
            direct_queries: Mutex::default(),
            next_query,
        })
    }

    /// Waits until what a reply tells is as durable as it gets.
    pub(crate) async fn durable(&self, seq: Option<CommitSeq>) -> Result<(), Status> {
        if let Some(seq) = seq {
            self.store.durable(seq).await?;
        }
        Ok(())
    }
}
