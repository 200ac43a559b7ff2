//! One test on one target: its client, its task queue, its names.

use std::panic::{AssertUnwindSafe, resume_unwind};

use everloop::client::{ClientBuilder, History};
use everloop::worker::{WorkerBuilder, WorkerError};
use everloop::{Client, Worker, WorkflowHandle, prelude::Duration};
use futures_util::{FutureExt, future::join_all};
use tokio::time::timeout;
use uuid::Uuid;

use super::warnings;
use crate::target::{RUNTIME, Target};

/// Makes a test of each function, which runs it on every target.
///
/// Tests after `waiting:` let time pass. In this process they run a second time, on an engine whose clock skips: [`World::wait`] is
/// short where time is real, and long where it is skipped.
macro_rules! everywhere {
    ($($name:ident),* $(,)? $(; waiting: $($waiting:ident),* $(,)?)?) => {
        mod everywhere {
            $(#[test]
            fn $name() {
                crate::e2e::world::on_all_targets(concat!(module_path!(), "::", stringify!($name)), false, super::$name);
            })*
            $($(#[test]
            fn $waiting() {
                crate::e2e::world::on_all_targets(concat!(module_path!(), "::", stringify!($waiting)), true, super::$waiting);
            })*)?
        }
    };
}
pub(super) use everywhere;

/// Timeout of a test, long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);

/// The time for which calls are retried: a busy server rejects some of two hundred updates for longer than the default.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Test machines are busy, so slow code must not count as a deadlock.
const DEADLOCK_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs a test on every target at once, and fails if it fails on any.
pub(super) fn on_all_targets<F: Future<Output = ()>>(name: &str, waits: bool, test: fn(World) -> F) {
    let mut lanes: Vec<_> = Target::all().into_iter().map(|target| (target, Clock::Real)).collect();
    if waits && lanes.iter().any(|(target, _)| *target == Target::Embedded) {
        lanes.push((Target::Embedded, Clock::Skipping));
    }
    // All on the test's own thread, so that its output is captured.
    let outcomes = RUNTIME.block_on(join_all(lanes.into_iter().map(|(target, clock)| async move {
        let lane = format!("{target:?}, with a {clock:?} clock");
        let whole = async {
            let world = World::new(target, clock).await;
            assert!(timeout(PATIENCE, test(world)).await.is_ok(), "no end after {PATIENCE:?}");
        };
        let outcome = AssertUnwindSafe(whole).catch_unwind().await;
        if outcome.is_err() {
            eprintln!("that was {name} on {lane}\n");
        }
        outcome
    })));
    if let Some(panic) = outcomes.into_iter().find_map(Result::err) {
        resume_unwind(panic);
    }
}

/// The kind of an engine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Real,
    Skipping,
}

/// The resources of one test on one target.
pub(super) struct World {
    /// A client that starts workflows on the test's own task queue.
    pub(super) client: Client,
    pub(super) target: Target,
    clock: Clock,
    queue: String,
}

impl World {
    async fn new(target: Target, clock: Clock) -> Self {
        warnings::keep();
        let queue = format!("e2e-{}", Uuid::new_v4());
        let client = Self::builder(&target, clock, &queue).await.await;
        let client = client.expect("the target is there");
        Self { client, target, clock, queue }
    }

    /// The same test with another client, for what a client is set up with. An engine in this process may be another one.
    pub(super) async fn with_client(self, set_up: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let client = set_up(Self::builder(&self.target, self.clock, &self.queue).await).await;
        Self { client: client.expect("the target is there"), ..self }
    }

    async fn builder(target: &Target, clock: Clock, queue: &str) -> ClientBuilder {
        let address = match clock {
            Clock::Real => target.address().await,
            Clock::Skipping => target.address().await + "?clock=skipping",
        };
        Client::builder(address).identity("e2e").task_queue(queue).timeout(CALL_TIMEOUT)
    }

    /// The test's task queue.
    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    /// Makes a workflow id that is unique to this test.
    pub(super) fn id(&self, name: &str) -> String {
        format!("{name}-{}", self.queue)
    }

    /// Builds a worker of the test's task queue.
    pub(super) fn worker(&self) -> WorkerBuilder {
        Worker::builder(&self.client, &self.queue).deadlock_timeout(DEADLOCK_TIMEOUT)
    }

    /// A time to wait for: short where time is real, long where it is skipped.
    pub(super) fn wait(&self) -> Duration {
        match self.clock {
            Clock::Real => Duration::from_millis(200),
            Clock::Skipping => Duration::from_secs(30 * 24 * 3600),
        }
    }

    /// Checks that this time was skipped, if the target skips time.
    pub(super) fn assert_skipped(&self, time: Duration) {
        if self.clock == Clock::Skipping {
            let skipped = self.client.engine_clock().expect("the engine is in this process").skipped();
            assert!(skipped > time.mul_f64(0.9), "{skipped:?} of {time:?}");
        }
    }
}

/// Runs a worker until the future completes.
pub(super) async fn run<T>(worker: WorkerBuilder, story: impl Future<Output = T>) -> T {
    let worker = worker.build().expect("it can be built");
    worker.run_until(async { Ok::<_, WorkerError>(story.await) }).await.expect("the server wants it")
}

/// Polls until the condition holds.
pub(super) async fn until<F: Future<Output = bool>>(mut is_so: impl FnMut() -> F) {
    while !is_so().await {
        // Servers respond at once: the pause only reduces their load.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for an event of this name, and returns the history that has it.
pub(super) async fn event<W>(handle: &WorkflowHandle<W>, name: &str) -> History {
    loop {
        let history = handle.history().await.expect("the workflow is there");
        if history.event_names().any(|event| event == name) {
            return history;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Number of events of this name.
pub(super) fn count(history: &History, name: &str) -> usize {
    history.event_names().filter(|event| event == name).count()
}
