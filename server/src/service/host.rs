//! The public type of an engine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use everloop_proto::temporal::api::operatorservice::v1::operator_service_server::OperatorServiceServer;
use everloop_proto::temporal::api::testservice::v1::test_service_server::TestServiceServer;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server::WorkflowServiceServer;

use crate::clock::timers::{Hold, JumpPermit, Jumped};
use crate::clock::{ClockHolder, UnbalancedUnlock};
use crate::grpc::{Operator, TestTime};
use crate::service::calls::workflow::Workflows;
use crate::service::error::EngineError;
use crate::service::handle::Handle;
use crate::store::StoreError;

/// A server of durable workflows inside this process.
///
/// A cheap handle: clones refer to the same engine, which stops when the last clone and the last service made from one
/// are dropped. Its timers and its writer have their own threads and need no runtime.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(in crate::service) handle: Arc<Handle>,
}

impl Engine {
    /// The reason why calls that change something fail, and the remedy; `None` unless the engine was opened with
    /// [`Engine::open_read_only`].
    #[must_use]
    pub fn read_only_advice(&self) -> Option<String> {
        let store = &self.handle.core.store;
        store.is_read_only().then(|| store.admit().err().map(|refusal| refusal.to_string())).flatten()
    }

    /// Records that other processes can reach the engine at this address.
    #[cfg_attr(not(feature = "listen"), expect(dead_code, reason = "only a socket has an address"))]
    pub(crate) fn listens_on(&self, address: SocketAddr) -> Result<(), EngineError> {
        let core = &self.handle.core;
        core.store.listens_on(&address.to_string()).map_err(|error| EngineError::Store(error.to_string()))
    }

    /// Returns a function that removes an address recorded by `listens_on`.
    #[cfg_attr(not(feature = "listen"), expect(dead_code, reason = "only a socket has an address"))]
    pub(crate) fn on_stop_listening(&self) -> impl FnOnce(SocketAddr) + Send + use<> {
        let store = Arc::clone(&self.handle.core.store);
        move |address| store.stops_listening_on(&address.to_string())
    }

    /// Creates the namespace `name` unless it exists.
    ///
    /// # Errors
    ///
    /// Fails if the name is invalid or the engine has failed.
    pub fn ensure_namespace(&self, name: &str) -> Result<(), EngineError> {
        let ensured = self.handle.core.namespaces.ensure(name);
        ensured.map_err(|error| EngineError::Namespace(error.to_string()))
    }

    /// Resolves when the engine cannot continue, with the reason: a write to its file has failed. From then on every
    /// call fails with UNAVAILABLE; all acknowledged changes are in the file.
    pub fn failed(&self) -> impl Future<Output = String> + Send + use<> {
        let failed = self.handle.core.store.failed();
        async move {
            match failed.await {
                Err(StoreError::Failed { reason }) => reason.to_string(),
                // Waits for a commit that never comes.
                Ok(()) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// The number of runs that were open when the engine's file was opened.
    #[must_use]
    pub fn recovered_runs(&self) -> usize {
        self.handle.open_runs
    }

    /// The calls of the workflow service, for in-process callers: messages are passed without encoding.
    #[must_use]
    pub fn workflows(&self) -> Workflows {
        Workflows { handle: Arc::clone(&self.handle) }
    }

    /// The workflow service, for a network server.
    #[must_use]
    pub fn workflow_service(&self) -> WorkflowServiceServer<Workflows> {
        WorkflowServiceServer::new(self.workflows())
            // The request is in memory already.
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    /// The operator service, for a network server.
    #[must_use]
    pub fn operator_service(&self) -> OperatorServiceServer<Operator> {
        OperatorServiceServer::new(Operator::new(Arc::clone(&self.handle.core.namespaces)))
    }

    /// The test service, which reads the clock and lets it skip time; `None` on a real clock.
    #[must_use]
    pub fn test_service(&self) -> Option<TestServiceServer<TestTime>> {
        self.handle.core.clock.is_skipping().then(|| TestServiceServer::new(TestTime::new(self.clone())))
    }

    /// The engine's time, since 1970 (UTC).
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.handle.core.clock.now().nanos()).unwrap_or(0))
    }

    /// The sum of all jumps of the clock; zero on a real clock.
    #[must_use]
    pub fn skipped(&self) -> Duration {
        self.handle.core.clock.skipped()
    }

    /// Prevents jumps of a time-skipping clock until the matching [`Engine::unlock_time`]. `taker` names the lock in
    /// [`Engine::explain_time`].
    pub fn lock_time(&self, taker: &str) {
        self.handle.core.timers.lock(taker);
    }

    /// Removes one lock; without locks, a time-skipping clock jumps whenever the engine is idle. An engine starts with
    /// one lock.
    ///
    /// # Errors
    ///
    /// Fails if there is no lock.
    pub fn unlock_time(&self, taker: &str) -> Result<(), UnbalancedUnlock> {
        self.handle.core.timers.unlock(taker)
    }

    /// Resolves when the engine's clock has advanced by `duration` from this call. While the returned value is kept, a
    /// time-skipping clock does not jump.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = Awake> + Send + use<> {
        let handle = Arc::clone(&self.handle);
        // The clock must not jump between the reading of the time and the setting of the deadline.
        let hold = handle.core.timers.hold(ClockHolder::Sleeper);
        let slept = handle.core.timers.sleep_until(handle.core.clock.now() + duration);
        drop(hold);
        async move {
            // The sender is dropped only with the engine, which this handle keeps alive.
            let hold = slept.await.ok();
            Awake { _hold: hold, _handle: handle }
        }
    }

    /// Lets a time-skipping clock jump while the returned value is kept, as if the initial lock did not exist.
    pub fn let_time_jump(&self) -> Jumping {
        Jumping { time: self.handle.core.timers.wait(), _handle: Arc::clone(&self.handle) }
    }

    /// Takes control of the clock, to skip from deadline to deadline and inspect the state at each.
    #[must_use]
    pub fn step(&self) -> Stepper {
        Stepper { _hold: self.handle.core.timers.hold(ClockHolder::Stepper), jumping: self.let_time_jump() }
    }

    /// Describes why time advances or does not: the locks with their takers, the holders, the next ten deadlines.
    #[must_use]
    pub fn explain_time(&self) -> String {
        self.handle.core.timers.explain(&*self.handle.core.matching)
    }
}

/// A sleeper that has woken: a time-skipping clock does not jump while this is kept. See [`Engine::sleep`].
#[derive(Debug)]
pub struct Awake {
    _hold: Option<Hold>,
    _handle: Arc<Handle>,
}

/// A time-skipping clock may jump while this is kept. See [`Engine::let_time_jump`].
#[derive(Debug)]
#[must_use = "time jumps only while it is kept"]
pub struct Jumping {
    time: Arc<JumpPermit>,
    _handle: Arc<Handle>,
}

impl Drop for Jumping {
    fn drop(&mut self) {
        self.time.end();
    }
}

/// Skips from deadline to deadline, and stops at each. See [`Engine::step`].
///
/// While it is kept, only this stepper makes the clock jump.
#[derive(Debug)]
pub struct Stepper {
    // The order of the fields matters: the clock must not jump by itself while the stepper is dropped.
    jumping: Jumping,
    _hold: Hold,
}

/// The engine is idle, and the clock does not jump while this is kept. See [`Stepper::settled`].
#[derive(Debug)]
pub struct Settled {
    _hold: Hold,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The clock has jumped to the next deadline, which is handled now.
    Jumped,
    /// The engine is not idle any more, or the clock is locked.
    Held,
    /// There is no deadline: the engine stays idle until the next call.
    NoDeadline,
}

impl Stepper {
    /// Resolves when the engine is idle; never on a real clock.
    pub fn settled(&self) -> impl Future<Output = Settled> + Send + use<> {
        let handle = Arc::clone(&self.jumping._handle);
        let settled = handle.core.clock.is_skipping().then(|| handle.core.timers.settled());
        async move {
            let Some(settled) = settled else { return std::future::pending().await };
            match settled.await {
                Ok(hold) => Settled { _hold: hold },
                // The sender is dropped only with the engine, which this handle keeps alive.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Jumps to the next deadline, unless work has begun since the engine became idle.
    pub fn step(&self, settled: Settled) -> Step {
        drop(settled);
        let core = &self.jumping._handle.core;
        match core.timers.jump_if_settled(&*core.matching) {
            Jumped::Yes => Step::Jumped,
            Jumped::Held => Step::Held,
            Jumped::NoDeadline => Step::NoDeadline,
        }
    }
}
