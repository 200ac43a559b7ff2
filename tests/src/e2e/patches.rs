//! Code that changes while runs are open: a patch, from the first deploy with it to the first without it.

use everloop::{prelude::*, testing::Replayer};

use super::world::{World, count, event, everywhere, run, until};

everywhere! {
    open_runs_go_the_old_way_and_new_ones_the_new_way,
    patches_come_and_go,
}

#[activity]
async fn pack(order: String) -> String {
    format!("packed {order}")
}

#[activity]
async fn weigh(order: String) -> usize {
    order.len()
}

/// The first version: packs.
#[workflow]
#[derive(Default)]
struct Packs {
    sent: State<bool>,
}

#[workflow(name = "Shipment")]
impl Packs {
    #[run]
    async fn run(&self, order: String) -> WorkflowResult<String> {
        let packed = pack(order).await?;
        self.sent.wait(|sent| *sent).await?;
        Ok(packed)
    }

    #[signal]
    fn send(&self) {
        self.sent.set(true);
    }
}

/// The second version: weighs first, if the run has not packed yet.
#[workflow]
#[derive(Default)]
struct Patched {
    sent: State<bool>,
}

#[workflow(name = "Shipment")]
impl Patched {
    #[run]
    async fn run(&self, order: String) -> WorkflowResult<String> {
        let weight = if workflow::patched("weigh") { Some(weigh(order.clone()).await?) } else { None };
        let packed = pack(order).await?;
        self.sent.wait(|sent| *sent).await?;
        Ok(match weight {
            Some(weight) => format!("{packed}, {weight} g"),
            None => packed,
        })
    }

    #[signal]
    async fn send(&self) {
        // A handler's patch, for all runs that have not been sent yet.
        if workflow::patched("notify") {
            spawn(async { workflow::patched("notify in a coroutine") }).await.ok();
        }
        self.sent.set(true);
    }
}

/// The third version: has no old path.
#[workflow]
#[derive(Default)]
struct Deprecating {
    sent: State<bool>,
}

#[workflow(name = "Shipment")]
impl Deprecating {
    #[run]
    async fn run(&self, order: String) -> WorkflowResult<String> {
        workflow::deprecate_patch("weigh");
        let weight = weigh(order.clone()).await?;
        let packed = pack(order).await?;
        self.sent.wait(|sent| *sent).await?;
        Ok(format!("{packed}, {weight} g"))
    }

    #[signal]
    async fn send(&self) {
        workflow::deprecate_patch("notify");
        workflow::deprecate_patch("notify in a coroutine");
        self.sent.set(true);
    }
}

/// The fourth version: nothing is left of the patches.
#[workflow]
#[derive(Default)]
struct Clean {
    sent: State<bool>,
}

#[workflow(name = "Shipment")]
impl Clean {
    #[run]
    async fn run(&self, order: String) -> WorkflowResult<String> {
        let weight = weigh(order.clone()).await?;
        let packed = pack(order).await?;
        self.sent.wait(|sent| *sent).await?;
        Ok(format!("{packed}, {weight} g"))
    }

    #[signal]
    fn send(&self) {
        self.sent.set(true);
    }
}

/// Waits until a filter finds so many workflows of this test; returns their ids.
async fn listed(world: &World, filter: &str, expected: usize) -> Vec<String> {
    let filter = format!("TaskQueue = '{}' AND {filter}", world.queue());
    loop {
        // The real server updates its lists with a delay.
        let found = world.client.list_workflows(&filter).all().await.expect("a list");
        if found.len() == expected {
            let mut ids: Vec<_> = found.into_iter().map(|workflow| workflow.workflow_id().to_owned()).collect();
            ids.sort_unstable();
            return ids;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn open_runs_go_the_old_way_and_new_ones_the_new_way(world: World) {
    let (old, new) = (world.id("old"), world.id("new"));
    let handle = run(world.worker().workflow::<Packs>().activity(pack), async {
        let handle = world.client.start(Packs::run("lamp".into())).id(&old).await.unwrap();
        event(&handle, "ActivityTaskCompleted").await;
        handle
    })
    .await;
    let worker = || world.worker().workflow::<Patched>().activity(pack).activity(weigh);
    let started = run(worker(), async {
        let started = world.client.start(Patched::run("piano".into())).id(&new).await.unwrap();
        until(async || count(&started.history().await.unwrap(), "ActivityTaskCompleted") == 2).await;
        started
    })
    .await;
    assert_eq!(listed(&world, "TemporalChangeVersion = 'weigh'", 1).await, [new.as_str()]);
    assert_eq!(listed(&world, "TemporalChangeVersion != 'weigh'", 1).await, [old.as_str()]);

    // Another worker of the same version, which knows neither run.
    run(worker(), async {
        handle.send().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "packed lamp");
        started.send().await.unwrap();
        assert_eq!(started.result().await.unwrap(), "packed piano, 5 g");
    })
    .await;
    // Both reached the handler after it was patched.
    listed(&world, "TemporalChangeVersion = 'notify'", 2).await;
    listed(&world, "TemporalChangeVersion IN ('weigh', 'notify in a coroutine')", 2).await;
    let history = handle.history().await.unwrap();
    assert_eq!((count(&history, "MarkerRecorded"), count(&history, "UpsertWorkflowSearchAttributes")), (2, 2));
    let patched = Replayer::new().workflow::<Patched>();
    for cut in 0..history.len() {
        patched.replay_in_pages(&history, &[cut]).unwrap();
    }
    let message = Replayer::new().workflow::<Clean>().replay(&started.history().await.unwrap()).unwrap_err().message;
    assert!(message.contains("workflow::deprecate_patch"), "{message}");
}

async fn patches_come_and_go(world: World) {
    let patched = run(world.worker().workflow::<Patched>().activity(pack).activity(weigh), async {
        let handle = world.client.start(Patched::run("lamp".into())).await.unwrap();
        event(&handle, "ActivityTaskCompleted").await;
        handle
    })
    .await;
    let deprecating = run(world.worker().workflow::<Deprecating>().activity(pack).activity(weigh), async {
        patched.send().await.unwrap();
        assert_eq!(patched.result().await.unwrap(), "packed lamp, 4 g");
        let handle = world.client.start(Deprecating::run("piano".into())).await.unwrap();
        until(async || count(&handle.history().await.unwrap(), "ActivityTaskCompleted") == 2).await;
        handle
    })
    .await;
    run(world.worker().workflow::<Clean>().activity(pack).activity(weigh), async {
        deprecating.send().await.unwrap();
        assert_eq!(deprecating.result().await.unwrap(), "packed piano, 5 g");
        let clean = world.client.start(Clean::run("boat".into())).await.unwrap();
        clean.send().await.unwrap();
        assert_eq!(clean.result().await.unwrap(), "packed boat, 4 g");
        assert_eq!(count(&clean.history().await.unwrap(), "MarkerRecorded"), 0);
    })
    .await;
}
