//! Local activities: run by the worker within the workflow task, with their results in markers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use everloop::activity::{ActivityCancelReason, ActivityCancellationType};
use everloop::client::History;
use everloop::data::{FailureKind, TimeoutType};
use everloop::{RetryPolicy, prelude::*, testing::Replayer};
use tokio::sync::{Semaphore, watch};

use super::world::{World, count, event, everywhere, run};

everywhere! {
    results_are_markers,
    failed_attempts_are_repeated_by_the_worker,
    long_one_runs_on_through_several_tasks,
    long_one_runs_on_without_a_cache,
    attempt_that_takes_too_long_is_dropped,
    cancelled_one_is_told,
    stopped_worker_leaves_it_to_another_one;
    waiting: long_wait_between_attempts_is_a_timer,
}

/// What the activities of one test share with it.
#[derive(Clone)]
struct Desk {
    /// Opened by the test.
    gate: Arc<Semaphore>,
    begun: watch::Sender<u32>,
    attempts: Arc<AtomicU32>,
    told: Arc<AtomicBool>,
}

impl Desk {
    fn new() -> Self {
        let (begun, _) = watch::channel(0);
        Self { gate: Arc::new(Semaphore::new(0)), begun, attempts: Arc::default(), told: Arc::default() }
    }

    async fn wait_until_begun(&self, times: u32) {
        self.begun.subscribe().wait_for(|begun| *begun >= times).await.expect("this test has the sender");
    }
}

#[activities]
impl Desk {
    #[activity]
    async fn double(&self, n: u32) -> u32 {
        n * 2
    }

    #[activity]
    fn block(&self, ctx: &ActivityContext) -> bool {
        ctx.info().is_local
    }

    #[activity]
    async fn fail_twice(&self, ctx: &ActivityContext) -> ActivityResult<u32> {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        match ctx.info().attempt {
            1 => Err(ActivityError::new("not yet")),
            2 => panic!("not yet, and loudly"),
            attempt => Ok(attempt),
        }
    }

    #[activity]
    async fn pass_gate(&self, ctx: &ActivityContext, n: u32) -> ActivityResult<u32> {
        self.begun.send_modify(|begun| *begun += 1);
        tokio::select! {
            permit = self.gate.acquire() => permit?.forget(),
            _ = ctx.cancelled() => return Err(ActivityError::cancelled()),
        }
        Ok(n)
    }

    #[activity]
    async fn wait_for_cancellation(&self, ctx: &ActivityContext) -> ActivityResult<u32> {
        self.begun.send_modify(|begun| *begun += 1);
        let reason = ctx.cancelled().await;
        self.told.store(true, Ordering::Relaxed);
        if reason == ActivityCancelReason::Requested { Err(ActivityError::cancelled()) } else { Ok(0) }
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Errand {
    Several,
    FailTwice,
    PassGate,
    BackOff(Duration),
    TooLong,
    Cancelled,
}

#[workflow]
#[derive(Default)]
struct Errands {
    signals: State<u32>,
}

#[workflow]
impl Errands {
    #[run]
    async fn run(&self, errand: Errand) -> WorkflowResult<String> {
        Ok(match errand {
            Errand::Several => {
                let (one, is_local) = join!(Desk::double(1).local(), Desk::block().local());
                let all = join_all((2..5).map(|n| Desk::double(n).local())).await;
                let all = all.into_iter().collect::<Result<Vec<_>, _>>()?;
                format!("{}, {}, {all:?}, {}", one?, is_local?, Desk::double(5).local().start().await?)
            }
            Errand::FailTwice => {
                let policy = RetryPolicy::new().initial_interval(Duration::from_millis(1));
                format!("attempt {}", Desk::fail_twice().local().retry_policy(policy).await?)
            }
            Errand::PassGate => {
                let passed = Desk::pass_gate(7).local().await?;
                format!("{passed} after {} signals", self.signals.get())
            }
            Errand::BackOff(wait) => {
                let policy = RetryPolicy::new().initial_interval(wait).backoff_coefficient(1.0);
                let call = Desk::fail_twice().local().retry_policy(policy).local_retry_threshold(Duration::ZERO);
                format!("attempt {}", call.await?)
            }
            Errand::TooLong => {
                let limit = Duration::from_millis(20);
                let once = RetryPolicy::new().maximum_attempts(1);
                let call = Desk::pass_gate(1).local().start_to_close_timeout(limit).retry_policy(once);
                let failed = call.await.err().ok_or_else(|| WorkflowError::new("the gate was closed"))?;
                match failed.cause().map(|cause| &cause.kind) {
                    Some(FailureKind::Timeout { timeout_type: TimeoutType::StartToClose, .. }) => "too long".to_owned(),
                    other => format!("{other:?}"),
                }
            }
            Errand::Cancelled => {
                let waits = ActivityCancellationType::WaitCancellationCompleted;
                let handle = Desk::wait_for_cancellation().local().cancellation_type(waits).start();
                self.signals.wait(|signals| *signals > 0).await?;
                handle.cancel();
                format!("cancelled: {}", handle.await.is_err_and(|error| error.is_cancelled()))
            }
        })
    }

    #[signal]
    fn ring(&self) {
        self.signals.add(1);
    }
}

/// Runs one errand with a worker of its own. Returns its result and its history, which replays.
async fn done(world: &World, desk: &Desk, errand: Errand) -> (String, History) {
    let worker = world.worker().workflow::<Errands>().activities(desk.clone());
    run(worker, async {
        let handle = world.client.start(Errands::run(errand)).await.unwrap();
        let result = handle.result().await.unwrap();
        (result, replayed(handle.history().await.unwrap()))
    })
    .await
}

fn replayed(history: History) -> History {
    Replayer::new().workflow::<Errands>().replay(&history).unwrap();
    history
}

async fn results_are_markers(world: World) {
    let (result, history) = done(&world, &Desk::new(), Errand::Several).await;
    assert_eq!(result, "2, true, [4, 6, 8], 10");
    assert_eq!((count(&history, "MarkerRecorded"), count(&history, "ActivityTaskScheduled")), (6, 0));
    assert_eq!(count(&history, "WorkflowTaskCompleted"), 1, "all of it is one task");
}

async fn failed_attempts_are_repeated_by_the_worker(world: World) {
    let (result, history) = done(&world, &Desk::new(), Errand::FailTwice).await;
    assert_eq!(result, "attempt 3");
    assert_eq!((count(&history, "MarkerRecorded"), count(&history, "TimerStarted")), (1, 0));
}

/// The task times out after a second, and the activity runs until three tasks were completed.
async fn pass_gate_slowly(world: World, cached: usize) {
    let desk = Desk::new();
    let worker = world.worker().max_cached_workflows(cached).workflow::<Errands>().activities(desk.clone());
    let history = run(worker, async {
        let call = world.client.start(Errands::run(Errand::PassGate)).task_timeout(Duration::from_secs(1));
        let handle = call.await.unwrap();
        desk.wait_until_begun(1).await;
        handle.ring().await.unwrap();
        while count(&event(&handle, "WorkflowTaskCompleted").await, "WorkflowTaskCompleted") < 3 {}
        desk.gate.add_permits(1);
        assert_eq!(handle.result().await.unwrap(), "7 after 1 signals");
        handle.history().await.unwrap()
    })
    .await;
    assert_eq!(*desk.begun.borrow(), 1, "it ran once");
    assert_eq!((count(&history, "WorkflowTaskTimedOut"), count(&history, "MarkerRecorded")), (0, 1));
    replayed(history);
}

async fn long_one_runs_on_through_several_tasks(world: World) {
    pass_gate_slowly(world, 10).await;
}

async fn long_one_runs_on_without_a_cache(world: World) {
    pass_gate_slowly(world, 0).await;
}

async fn long_wait_between_attempts_is_a_timer(world: World) {
    let (result, history) = done(&world, &Desk::new(), Errand::BackOff(world.wait())).await;
    assert_eq!(result, "attempt 3");
    assert_eq!((count(&history, "MarkerRecorded"), count(&history, "TimerFired")), (3, 2));
    world.assert_skipped(world.wait() * 2);
}

async fn attempt_that_takes_too_long_is_dropped(world: World) {
    let (result, _) = done(&world, &Desk::new(), Errand::TooLong).await;
    assert_eq!(result, "too long");
}

async fn cancelled_one_is_told(world: World) {
    let desk = Desk::new();
    let worker = world.worker().workflow::<Errands>().activities(desk.clone());
    let history = run(worker, async {
        // The signal arrives with the next task, which begins before this one times out.
        let call = world.client.start(Errands::run(Errand::Cancelled)).task_timeout(Duration::from_secs(1));
        let handle = call.await.unwrap();
        desk.wait_until_begun(1).await;
        handle.ring().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "cancelled: true");
        handle.history().await.unwrap()
    })
    .await;
    assert!(desk.told.load(Ordering::Relaxed));
    replayed(history);
}

async fn stopped_worker_leaves_it_to_another_one(world: World) {
    let desk = Desk::new();
    let worker = || world.worker().workflow::<Errands>().activities(desk.clone());
    let handle = run(worker(), async {
        let handle = world.client.start(Errands::run(Errand::PassGate)).await.unwrap();
        desk.wait_until_begun(1).await;
        handle
    })
    .await;
    let history = run(worker(), async {
        desk.wait_until_begun(2).await;
        desk.gate.add_permits(2);
        assert_eq!(handle.result().await.unwrap(), "7 after 0 signals");
        handle.history().await.unwrap()
    })
    .await;
    assert_eq!(count(&history, "WorkflowTaskTimedOut"), 0, "no other worker waits for that");
    replayed(history);
}
