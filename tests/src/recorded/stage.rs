//! Runs a scenario: on a server, with workers with or without a cache.

use std::{env, panic::resume_unwind, pin::Pin, time::Duration};

use everloop::client::History;
use everloop::worker::{WorkerBuilder, WorkerError};
use everloop::workflow::Workflow;
use everloop::{Client, Worker, testing::Replayer};
use tokio::time::timeout;
use uuid::Uuid;

use super::{cuts, golden, scenarios::register_activities};
use crate::target::{RUNTIME, Target};

/// Timeout of a scenario, long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);

/// A held task looks like a workflow that blocks its thread.
const DEADLOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// A workflow and its driver.
#[derive(Clone, Copy)]
pub(super) struct RecordedScenario {
    pub(super) name: &'static str,
    register: fn(WorkerBuilder) -> WorkerBuilder,
    replayer: fn() -> Replayer,
    play: fn(Stage) -> Pin<Box<dyn Future<Output = History> + Send>>,
    needs_reference: bool,
}

impl RecordedScenario {
    pub(super) const fn new<W: Workflow>(
        name: &'static str,
        play: fn(Stage) -> Pin<Box<dyn Future<Output = History> + Send>>,
    ) -> Self {
        let register = |worker: WorkerBuilder| worker.workflow::<W>();
        Self { name, register, replayer: || Replayer::new().workflow::<W>(), play, needs_reference: false }
    }

    /// The scenario needs a call that our engine does not have.
    pub(super) const fn on_the_reference_alone(self) -> Self {
        Self { needs_reference: true, ..self }
    }

    /// The recorded histories replay.
    pub(super) fn check_recorded(&self) {
        for cache in Cache::BOTH {
            let history = golden::read(self.name, cache);
            cuts::check(&format!("{} as recorded {cache}", self.name), &(self.replayer)(), &history, cuts::MANY);
        }
    }

    /// New histories replay, on every target.
    pub(super) fn check_now(&'static self) {
        let targets = Target::all().into_iter().filter(|target| target.is_reference() || !self.needs_reference);
        let stages = targets.flat_map(|target| Cache::BOTH.map(|cache| (target.clone(), cache)));
        let playing = stages.map(|(target, cache)| {
            let of = format!("{} on {target:?} {cache}", self.name);
            let is_reference = target.is_reference();
            let history = RUNTIME.spawn(async move {
                let stage = Stage::new(self, target, cache).await;
                timeout(PATIENCE, (self.play)(stage)).await.unwrap_or_else(|_| panic!("no end after {PATIENCE:?}"))
            });
            (of, is_reference, cache, history)
        });
        // All scenarios are started before the first one is awaited.
        for (of, is_reference, cache, history) in playing.collect::<Vec<_>>() {
            let history = RUNTIME.block_on(history).unwrap_or_else(|error| {
                // The output of a test is captured only on the test's own thread.
                let panic = error.into_panic();
                let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
                eprintln!("{of}: {}", text.unwrap_or("a panic without words"));
                resume_unwind(panic)
            });
            cuts::check(&of, &(self.replayer)(), &history, cuts::SOME);
            if is_reference && env::var_os("UPDATE_EXPECT").is_some() {
                golden::record(self.name, cache, &history);
            }
        }
    }
}

/// Makes the tests of scenarios: functions that run a workflow and return its history.
macro_rules! recordings {
    ($($name:ident: $workflow:ident $(, $option:ident)?);* $(;)?) => {
        $(mod $name {
            use crate::recorded::stage::RecordedScenario;

            const SCENARIO: RecordedScenario =
                RecordedScenario::new::<super::$workflow>(stringify!($name), |stage| Box::pin(super::$name(stage)))$(.$option())?;

            #[test]
            fn replays_as_recorded() {
                SCENARIO.check_recorded();
            }

            #[test]
            fn replays_as_it_happens_now() {
                SCENARIO.check_now();
            }
        })*
    };
}
pub(super) use recordings;

/// Whether workers cache runs between tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cache {
    On,
    Off,
}

impl Cache {
    const BOTH: [Self; 2] = [Self::On, Self::Off];
}

impl std::fmt::Display for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::On => "with a cache",
            Self::Off => "without a cache",
        })
    }
}

/// The resources of one scenario on one target.
pub(super) struct Stage {
    /// A client that starts workflows on the scenario's own task queue.
    pub(super) client: Client,
    pub(super) target: Target,
    /// Unique to this workflow.
    pub(super) id: String,
    queue: String,
    cache: Cache,
    register: fn(WorkerBuilder) -> WorkerBuilder,
}

impl Stage {
    async fn new(scenario: &RecordedScenario, target: Target, cache: Cache) -> Self {
        let id = format!("{}-{}", scenario.name, Uuid::new_v4());
        let queue = format!("recorded-{id}");
        // Identities in histories are the same on every machine.
        let client = Client::builder(target.address().await).identity("recorder").task_queue(&queue).await;
        Self { client: client.expect("the target is there"), target, id, queue, cache, register: scenario.register }
    }

    /// Builds a worker with the scenario's workflow and all activities.
    pub(super) fn worker(&self) -> Worker {
        let worker = Worker::builder(&self.client, &self.queue).deadlock_timeout(DEADLOCK_TIMEOUT);
        let worker = match self.cache {
            Cache::On => worker,
            Cache::Off => worker.max_cached_workflows(0),
        };
        register_activities((self.register)(worker)).build().expect("the worker is complete")
    }

    /// Runs a future while a worker runs.
    pub(super) async fn with_worker<T>(&self, story: impl Future<Output = T>) -> T {
        let story = async { Ok::<_, WorkerError>(story.await) };
        self.worker().run_until(story).await.expect("the server takes the worker")
    }
}
