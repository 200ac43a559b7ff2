//! New code for old runs: a fix that is deployed, and code that does not fit.

use std::{
    collections::HashSet,
    sync::{Condvar, Mutex, PoisonError},
};

use everloop::client::WorkflowStatus;
use everloop::prelude::*;
use futures_util::future::join_all;

use super::world::{World, count, event, everywhere, run};

everywhere! {
    run_continues_after_deploy_of_a_fix,
    run_continues_after_fix_of_a_decoding_error,
    mismatch_is_reported_at_its_event,
    blocked_workflow_task_is_given_up,
    a_worker_that_does_one_task_at_a_time;
    waiting: another_worker_continues_a_run
}

#[activity]
async fn weigh(item: String) -> usize {
    item.len()
}

/// The first deployed version: it panics when the activity has completed.
#[workflow]
#[derive(Default)]
struct Broken {
    seen: State<usize>,
}

#[workflow(name = "Parcel")]
impl Broken {
    #[run]
    async fn run(&self, item: String) -> WorkflowResult<usize> {
        let weight = weigh(item).await?;
        self.seen.set(weight);
        panic!("nobody knows what {weight} costs");
    }
}

/// The second deployed version.
#[workflow]
#[derive(Default)]
struct Fixed {
    sealed: State<bool>,
}

#[workflow(name = "Parcel")]
impl Fixed {
    #[run]
    async fn run(&self, item: String) -> WorkflowResult<usize> {
        let weight = weigh(item).await?;
        self.sealed.wait(|sealed| *sealed).await?;
        Ok(weight * 2)
    }

    #[signal]
    fn seal(&self) {
        self.sealed.set(true);
    }

    #[query]
    fn is_sealed(&self) -> bool {
        self.sealed.get()
    }
}

async fn run_continues_after_deploy_of_a_fix(world: World) {
    let handle = run(world.worker().workflow::<Broken>().activity(weigh), async {
        let handle = world.client.start(Broken::run("lamp".into())).await.unwrap();
        let timeline = event(&handle, "WorkflowTaskFailed").await.timeline();
        assert!(timeline.contains("nobody knows what 4 costs") && timeline.contains("deploys.rs:"), "{timeline}");
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Running);
        // A signal without a handler in this version is kept for the next version.
        handle.untyped().signal("seal", Default::default()).await.unwrap();
        handle
    })
    .await;
    let handle = world.client.workflow_handle::<Fixed>(handle.id());
    run(world.worker().workflow::<Fixed>().activity(weigh), async {
        assert_eq!(handle.result().await.unwrap(), 8);
        assert!(handle.is_sealed().await.unwrap());
        // The activity was not run again.
        assert_eq!(count(&handle.history().await.unwrap(), "ActivityTaskScheduled"), 1);
    })
    .await;
}

/// Takes a number where callers send text.
#[workflow]
#[derive(Default)]
struct Narrow;

#[workflow(name = "Parcel")]
impl Narrow {
    #[run]
    async fn run(&self, item: u32) -> WorkflowResult<u32> {
        Ok(item)
    }
}

async fn run_continues_after_fix_of_a_decoding_error(world: World) {
    let handle = world.client.start(Fixed::run("lamp".into())).await.unwrap();
    run(world.worker().workflow::<Narrow>(), async {
        let timeline = event(&handle, "WorkflowTaskFailed").await.timeline();
        assert!(timeline.contains("the input of workflow `Parcel` does not fit: argument 1 `item`"), "{timeline}");
    })
    .await;
    handle.seal().await.unwrap();
    assert_eq!(run(world.worker().workflow::<Fixed>().activity(weigh), handle.result()).await.unwrap(), 8);
}

/// A timer in place of an activity.
#[workflow]
#[derive(Default)]
struct Changed;

#[workflow(name = "Parcel")]
impl Changed {
    #[run]
    async fn run(&self, _item: String) -> WorkflowResult<usize> {
        sleep(Duration::from_secs(1)).await?;
        Ok(0)
    }
}

async fn mismatch_is_reported_at_its_event(world: World) {
    let handle = run(world.worker().workflow::<Fixed>().activity(weigh), async {
        let handle = world.client.start(Fixed::run("lamp".into())).await.unwrap();
        event(&handle, "ActivityTaskCompleted").await;
        assert!(!handle.is_sealed().await.unwrap());
        handle
    })
    .await;
    handle.seal().await.unwrap();
    run(world.worker().workflow::<Changed>(), async {
        let timeline = event(&handle, "WorkflowTaskFailed").await.timeline();
        let message = "event 5: history has ScheduleActivity(weigh, id 1), the workflow issued StartTimer(1) at ";
        assert!(timeline.contains(message) && timeline.contains("deploys.rs:"), "{timeline}");
        assert!(timeline.contains("run this workflow with the code that recorded it"), "{timeline}");
    })
    .await;
    // The matching code is deployed again; nothing was lost.
    assert_eq!(run(world.worker().workflow::<Fixed>().activity(weigh), handle.result()).await.unwrap(), 8);
}

/// Parcels whose code is stuck until their test is over.
static STUCK: Mutex<Option<HashSet<String>>> = Mutex::new(None);
static FREED: Condvar = Condvar::new();

/// Blocks its thread. The macro finds blocking calls in a workflow, but not in a function that it calls.
fn be_stuck(item: &str) {
    let is_stuck = |stuck: &mut Option<HashSet<String>>| stuck.as_ref().is_some_and(|stuck| stuck.contains(item));
    let stuck = STUCK.lock().unwrap_or_else(PoisonError::into_inner);
    drop(FREED.wait_while(stuck, is_stuck));
}

/// Frees the threads at the end, whether the test succeeds or fails.
struct Stuck(String);

impl Stuck {
    fn new(item: String) -> Self {
        STUCK.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(item.clone());
        Self(item)
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        STUCK.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().remove(&self.0);
        FREED.notify_all();
    }
}

#[workflow]
#[derive(Default)]
struct Blocks;

#[workflow(name = "Parcel")]
impl Blocks {
    #[run]
    async fn run(&self, item: String) -> WorkflowResult<usize> {
        be_stuck(&item);
        Ok(0)
    }
}

async fn blocked_workflow_task_is_given_up(world: World) {
    let stuck = Stuck::new(world.id("lamp"));
    let worker = world.worker().workflow::<Blocks>().workflow::<Relay>().activity(weigh);
    let handle = run(worker.deadlock_timeout(Duration::from_millis(500)), async {
        let handle = world.client.start(Blocks::run(stuck.0.clone())).await.unwrap();
        let timeline = event(&handle, "WorkflowTaskFailed").await.timeline();
        assert!(timeline.contains("without waiting for anything: it blocks its thread"), "{timeline}");
        assert!(timeline.contains("move that into an activity"), "{timeline}");
        // Other workflows continue.
        assert_eq!(world.client.execute(Relay::run(Duration::ZERO)).await.unwrap(), 4);
        handle
    })
    .await;
    let length = stuck.0.len();
    let handle = world.client.workflow_handle::<Fixed>(handle.id());
    handle.seal().await.unwrap();
    assert_eq!(run(world.worker().workflow::<Fixed>().activity(weigh), handle.result()).await.unwrap(), 2 * length);
    // Not earlier: a thread that is freed while its task is still the current one completes the workflow.
    drop(stuck);
}

#[workflow]
#[derive(Default)]
struct Relay;

#[workflow]
impl Relay {
    #[run]
    async fn run(&self, wait: Duration) -> WorkflowResult<usize> {
        sleep(wait).await?;
        let weight = weigh("lamp".into()).await?;
        sleep(wait).await?;
        Ok(weight)
    }
}

async fn another_worker_continues_a_run(world: World) {
    let worker = || world.worker().workflow::<Relay>().activity(weigh);
    let handle = run(worker(), async {
        let handle = world.client.start(Relay::run(world.wait())).await.unwrap();
        event(&handle, "TimerStarted").await;
        handle
    })
    .await;
    assert_eq!(run(worker(), handle.result()).await.unwrap(), 4);
    world.assert_skipped(2 * world.wait());
}

/// Tasks of new workflows and tasks of cached ones come from different polls, which share the worker's only slot.
async fn a_worker_that_does_one_task_at_a_time(world: World) {
    let worker = world.worker().workflow::<Relay>().activity(weigh).max_concurrent_workflow_tasks(1);
    run(worker, async {
        let relays = (0..10).map(async |_| world.client.execute(Relay::run(Duration::from_millis(1))).await.unwrap());
        assert_eq!(join_all(relays).await, [4; 10]);
    })
    .await;
}
