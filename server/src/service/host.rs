//! An engine and its threads.

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
/// A cheap handle: clones mean the same engine, and it stops when the last of them, and the last service made from one,
/// is dropped. Its timers and its writer have threads of their own, so no runtime has to be there for them.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(in crate::service) handle: Arc<Handle>,
}

impl Engine {
    /// Why calls that change something fail, and what to do instead; `None` unless the engine was opened with
    /// [`Engine::open_read_only`].
    #[must_use]
    pub fn read_only_advice(&self) -> Option<String> {
        let store = &self.handle.core.store;
        store.is_read_only().then(|| store.admit().err().map(|refusal| refusal.to_string())).flatten()
    }

    /// Others will reach the engine at this address.
    #[cfg_attr(not(feature = "listen"), expect(dead_code, reason = "only a socket has an address"))]
    pub(crate) fn listens_on(&self, address: SocketAddr) -> Result<(), EngineError> {
        let core = &self.handle.core;
        core.store.listens_on(&address.to_string()).map_err(|error| EngineError::Store(error.to_string()))
    }

    /// What takes back that others will reach the engine at an address.
    #[cfg_attr(not(feature = "listen"), expect(dead_code, reason = "only a socket has an address"))]
    pub(crate) fn on_stop_listening(&self) -> impl FnOnce(SocketAddr) + Send + use<> {
        let store = Arc::clone(&self.handle.core.store);
        move |address| store.stops_listening_on(&address.to_string())
    }

    /// Makes sure that there is a namespace of that name.
    ///
    /// # Errors
    ///
    /// A name that cannot be a namespace, or an engine that has failed.
    pub fn ensure_namespace(&self, name: &str) -> Result<(), EngineError> {
        let ensured = self.handle.core.namespaces.ensure(name);
        ensured.map_err(|error| EngineError::Namespace(error.to_string()))
    }

    /// Resolves when the engine cannot go on, with the reason: a write to its file has failed. From then on every call
    /// is answered UNAVAILABLE; what was acknowledged before is in the file.
    pub fn failed(&self) -> impl Future<Output = String> + Send + use<> {
        let failed = self.handle.core.store.failed();
        async move {
            match failed.await {
                Err(StoreError::Failed { reason }) => reason.to_string(),
                // It waits for a commit that never comes.
                Ok(()) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// How many runs were open in the engine's file when it was opened.
    #[must_use]
    pub fn recovered_runs(&self) -> usize {
        self.handle.open_runs
    }

    /// The calls of the workflow service, for callers in this process: messages are handed over as they are.
    #[must_use]
    pub fn workflows(&self) -> Workflows {
        Workflows { handle: Arc::clone(&self.handle) }
    }

    /// The workflow service, to be put on a network.
    #[must_use]
    pub fn workflow_service(&self) -> WorkflowServiceServer<Workflows> {
        WorkflowServiceServer::new(self.workflows())
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
        self.handle.core.timers.lock(taker);
    }

    /// Takes one lock away; the last one gone, a skipping clock jumps whenever nothing is under way. An engine starts
    /// with one lock.
    ///
    /// # Errors
    ///
    /// There is no lock.
    pub fn unlock_time(&self, taker: &str) -> Result<(), UnbalancedUnlock> {
        self.handle.core.timers.unlock(taker)
    }

    /// Resolves when the engine's clock has gone on by `duration`, counted from this call. While what it gives is kept, a
    /// skipping clock does not jump on.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = Awake> + Send + use<> {
        let handle = Arc::clone(&self.handle);
        // Between the moment that it reads and the end that it sets, the clock must not jump.
        let hold = handle.core.timers.hold(ClockHolder::Sleeper);
        let slept = handle.core.timers.sleep_until(handle.core.clock.now() + duration);
        drop(hold);
        async move {
            // The sender goes only with the engine, and this handle keeps that.
            let hold = slept.await.ok();
            Awake { _hold: hold, _handle: handle }
        }
    }

    /// Lets a skipping clock jump while what it gives is kept, as if the lock that an engine starts with were not there.
    pub fn let_time_jump(&self) -> Jumping {
        Jumping { time: self.handle.core.timers.wait(), _handle: Arc::clone(&self.handle) }
    }

    /// Takes the clock over, to skip from deadline to deadline and look at what happens at each.
    #[must_use]
    pub fn step(&self) -> Stepper {
        Stepper { _hold: self.handle.core.timers.hold(ClockHolder::Stepper), jumping: self.let_time_jump() }
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
    _hold: Option<Hold>,
    _handle: Arc<Handle>,
}

/// A skipping clock may jump while this is kept. See [`Engine::let_time_jump`].
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
/// While it is kept, the clock jumps for nobody else.
#[derive(Debug)]
pub struct Stepper {
    // In this order: nothing jumps by itself when the stepper goes.
    jumping: Jumping,
    _hold: Hold,
}

/// Nothing is under way, and nothing jumps while this is kept. See [`Stepper::settled`].
#[derive(Debug)]
pub struct Settled {
    _hold: Hold,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The clock shows the next deadline, which happens now.
    Jumped,
    /// Something is under way again, or the clock is locked.
    Held,
    /// There is no deadline: nothing happens any more, unless somebody calls.
    NoDeadline,
}

impl Stepper {
    /// Resolves when nothing is under way any more; never on a real clock.
    pub fn settled(&self) -> impl Future<Output = Settled> + Send + use<> {
        let handle = Arc::clone(&self.jumping._handle);
        let settled = handle.core.clock.is_skipping().then(|| handle.core.timers.settled());
        async move {
            let Some(settled) = settled else { return std::future::pending().await };
            match settled.await {
                Ok(hold) => Settled { _hold: hold },
                // The sender goes only with the engine, and this handle keeps that.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Jumps to the next deadline, unless something has begun since everything was settled.
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
