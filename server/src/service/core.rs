//! The parts of one engine, in one shared struct.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tonic::Status;

use crate::clock::Clock;
use crate::clock::timers::Timers;
use crate::engine::event::EventId;
use crate::matching::Matching;
use crate::namespaces::Namespaces;
use crate::service::calls::direct::DirectQueries;
use crate::service::runs::Runs;
use crate::service::runs::task::Task;
use crate::store::{CommitSeq, Store};

/// The shared parts of one engine.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) clock: Arc<Clock>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) matching: Arc<Matching<Task>>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) namespaces: Arc<Namespaces>,
    /// Whether the workers lived in the process that has ended, so that the tasks they had are lost.
    pub(in crate::service) workers_are_gone: bool,
    /// The least time between the first workflow tasks of two runs that follow each other.
    pub(in crate::service) run_interval_min: Duration,
    /// Whether the last handle of the engine was dropped.
    pub(in crate::service) is_stopping: AtomicBool,
    pub(crate) runs: Runs,
    /// Runs with at most this many events are compared with their stored form.
    pub(in crate::service) compares_up_to: EventId,
    pub(super) direct_queries: DirectQueries,
}

impl Core {
    pub(crate) fn new(
        clock: Clock,
        store: Arc<dyn Store>,
        namespaces: Arc<Namespaces>,
        workers_are_gone: bool,
        run_interval_min: Duration,
        compares_up_to: EventId,
    ) -> Arc<Self> {
        let clock = Arc::new(clock);
        let remembers_stored = !store.outlives_process();
        let direct_queries = DirectQueries::new(clock.now());
        let timers = Arc::new(Timers::new(Arc::clone(&clock)));
        Arc::new(Self {
            matching: Arc::new(Matching::new(Arc::clone(&timers))),
            timers,
            clock,
            store,
            namespaces,
            workers_are_gone,
            run_interval_min,
            is_stopping: AtomicBool::new(false),
            runs: Runs::new(remembers_stored),
            compares_up_to,
            direct_queries,
        })
    }

    /// Waits until the state in a response is committed.
    pub(crate) async fn durable(&self, seq: Option<CommitSeq>) -> Result<(), Status> {
        if let Some(seq) = seq {
            self.store.durable(seq).await?;
        }
        Ok(())
    }
}
