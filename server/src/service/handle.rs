//! An engine and its thread.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use everloop_proto::temporal::api::operatorservice::v1::operator_service_server::OperatorServiceServer;
use everloop_proto::temporal::api::testservice::v1::test_service_server::TestServiceServer;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server::WorkflowServiceServer;

use super::core::Core;
use super::workflow::Workflows;
use crate::clock::{ClockMode, Hold, UnbalancedUnlock};
use crate::grpc::{Operator, TestTime};
use crate::namespaces::Namespaces;
use crate::store::{SqliteStore, Store};

/// A server of durable workflows inside this process.
///
/// A cheap handle: clones mean the same engine, and it stops when the last of them, and the last service made from one,
/// is dropped. Its timers and its writer have threads of their own, so no runtime has to be there for them.
#[derive(Clone, Debug)]
pub struct Engine {
    handle: Arc<Handle>,
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The storage cannot be opened.
    #[error("cannot open the store: {0}")]
    Store(String),
    /// A name that cannot be a namespace.
    #[error("cannot use namespace: {0}")]
    Namespace(String),
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// What an engine is started with.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct EngineBuilder {
    clock: ClockMode,
    namespaces: Vec<String>,
}

impl EngineBuilder {
    /// How time passes; as the wall clock does unless set.
    pub fn clock(mut self, mode: ClockMode) -> Self {
        self.clock = mode;
        self
    }

    /// A namespace to have from the start, beside `default`.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespaces.push(name.into());
        self
    }

    /// Starts an engine that keeps everything in memory.
    ///
    /// # Errors
    ///
    /// A wrong namespace name, or a system out of memory or threads.
    pub fn build(self) -> Result<Engine, EngineError> {
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::memory().map_err(|error| EngineError::Store(error.to_string()))?);
        let namespaces = Namespaces::open(Arc::clone(&store), &self.namespaces)
            .map_err(|error| EngineError::Namespace(error.to_string()))?;
        let namespaces = Arc::new(namespaces);
        let core = Core::new(self.clock, store, namespaces);
        let timers = Arc::clone(&core.timers);
        let backlog = Arc::clone(&core.matching);
        thread::Builder::new().name("everloop-timers".to_owned()).spawn(move || timers.run(&*backlog))?;
        Ok(Engine { handle: Arc::new(Handle { core }) })
    }
}

impl Engine {
    /// Says what the engine is to be like.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Starts an engine that keeps everything in memory.
    ///
    /// # Errors
    ///
    /// A system out of memory or threads.
    pub fn memory(clock: ClockMode) -> Result<Self, EngineError> {
        Self::builder().clock(clock).build()
    }

    /// The workflow service, to be called without a network or to be put on one.
    #[must_use]
    pub fn workflow_service(&self) -> WorkflowServiceServer<Workflows> {
        WorkflowServiceServer::new(Workflows { handle: Arc::clone(&self.handle) })
            // What has come this far is in memory already.
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    /// The operator service, as [`Engine::workflow_service`].
    #[must_use]
    pub fn operator_service(&self) -> OperatorServiceServer<Operator> {
        OperatorServiceServer::new(Operator::new(Arc::clone(&self.handle.core.namespaces)))
    }

    /// The test service, which looks at the clock and lets it skip; none on a real clock.
    #[must_use]
    pub fn test_service(&self) -> Option<TestServiceServer<TestTime>> {
        self.handle.core.clock.is_skipping().then(|| TestServiceServer::new(TestTime::new(self.clone())))
    }

    /// The engine's time, since 1970 (UTC).
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.handle.core.clock.now().nanos()).unwrap_or(0))
    }

    /// How far the clock has jumped altogether; nothing on a real clock.
    #[must_use]
    pub fn skipped(&self) -> Duration {
        self.handle.core.clock.skipped()
    }

    /// Stops jumps of a skipping clock until the matching [`Engine::unlock_time`]. `taker` is named when somebody asks
    /// why time does not move.
    pub fn lock_time(&self, taker: &str) {
        self.handle.core.clock.lock(taker);
    }

    /// Takes one lock away; the last one gone, a skipping clock jumps whenever nothing is under way. An engine starts
    /// with one lock.
    ///
    /// # Errors
    ///
    /// There is no lock.
    pub fn unlock_time(&self, taker: &str) -> Result<(), UnbalancedUnlock> {
        self.handle.core.clock.unlock(taker)?;
        self.handle.core.timers.poke();
        Ok(())
    }

    /// Resolves when the engine's clock has gone on by `duration`, counted from this call. While what it gives is kept, a
    /// skipping clock does not jump on.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = Awake> + Send + use<> {
        let handle = Arc::clone(&self.handle);
        let slept = handle.core.timers.sleep_until(handle.core.clock.now() + duration);
        async move {
            // The sender goes only with the engine, and this handle keeps that.
            let hold = slept.await.ok();
            Awake { hold, handle }
        }
    }

    /// Why time moves, or does not: locks with their takers, what is under way, the next ten deadlines.
    #[must_use]
    pub fn explain_time(&self) -> String {
        self.handle.core.timers.explain(&*self.handle.core.matching)
    }
}

/// A sleeper has woken: a skipping clock waits for it before it jumps on. See [`Engine::sleep`].
#[derive(Debug)]
pub struct Awake {
    hold: Option<Hold>,
    handle: Arc<Handle>,
}

impl Drop for Awake {
    fn drop(&mut self) {
        drop(self.hold.take());
        self.handle.core.timers.poke();
    }
}

/// Keeps an engine going.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) core: Arc<Core>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.timers.stop();
    }
}
