//! Local activities: results in markers, tasks that go on while one runs, and waits that are timers.

use std::sync::LazyLock;

use everloop::RetryPolicy;
use everloop::activity::ActivityCancellationType;
use everloop::client::History;
use everloop::prelude::*;
use tokio::sync::Semaphore;

use super::{SHORT, decline, fail_at_first, wait_for_the_end, work, work_alone};
use crate::recorded::stage::{Stage, recordings};

recordings! { local_activities: LocalActivities; long_local_activities: LongLocalActivities }

#[workflow]
#[derive(Default)]
struct LocalActivities;

#[workflow]
impl LocalActivities {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        let began = workflow::now();
        let mut seen = Vec::new();
        let (one, alone) = join!(work(1).local().summary("the first one"), work_alone(2).local());
        seen.push(format!("{}, {}", one?, alone?));
        let all = join_all((3..6).map(|n| work(n).local())).await;
        seen.push(format!("{:?}", all.into_iter().collect::<Result<Vec<_>, _>>()?));
        seen.push(format!("{:?}", decline("no money".into()).local().await.map_err(|failed| failed.cause().cloned())));
        seen.push(format!("attempt {}", fail_at_first(2).local().await?));

        // Its waits are timers.
        let call = fail_at_first(2).local().local_retry_threshold(Duration::ZERO).activity_id("patient");
        seen.push(format!("attempt {}", call.await?));

        // One is started and awaited later, one is detached, one is dropped while it runs.
        let later = work(workflow::random::<u8>().into()).local().start();
        drop(spawn(async { work(6).local().await }));
        select! {
            _ = wait_for_the_end().local() => seen.push("ended".to_owned()),
            slept = sleep(SHORT) => slept?,
        }
        seen.push(later.await.is_ok().to_string());
        // The clock has advanced with the results.
        sleep(workflow::now().duration_since(began).unwrap_or_default().min(SHORT)).await?;
        Ok(seen)
    }
}

async fn local_activities(stage: Stage) -> History {
    stage
        .with_worker(async {
            let call = stage.client.start(LocalActivities::run()).id(&stage.id);
            let handle = call.task_timeout(Duration::from_secs(1)).await.unwrap();
            let seen = handle.result().await.unwrap();
            assert_eq!(seen[..2], ["10, 20", "[30, 40, 50]"]);
            assert_eq!(seen[3..], ["attempt 3", "attempt 3", "true"], "{seen:?}");
            handle.history().await.unwrap()
        })
        .await
}

/// Keeps activities running until the driver opens it. Each run takes one permit.
static GATE: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(0));

/// Runs until the driver opens the gate.
#[activity(start_to_close_timeout = "60s")]
pub(super) async fn pass_gate(ctx: &ActivityContext) -> ActivityResult<bool> {
    tokio::select! {
        permit = GATE.acquire() => permit?.forget(),
        _ = ctx.cancelled() => return Err(ActivityError::cancelled()),
    }
    Ok(ctx.info().is_local)
}

#[workflow]
#[derive(Default)]
struct LongLocalActivities {
    signals: State<u32>,
}

#[workflow]
impl LongLocalActivities {
    /// One runs through several tasks, beside work of a task queue and signals. The workflow cancels another one and waits until
    /// it has ended.
    #[run]
    async fn run(&self) -> WorkflowResult<String> {
        let beside = work(1).start();
        let passed = pass_gate().local().await?;
        let waits = ActivityCancellationType::WaitCancellationCompleted;
        let once = RetryPolicy::new().maximum_attempts(1);
        let handle = wait_for_the_end().local().retry_policy(once).cancellation_type(waits).start();
        self.signals.wait(|signals| *signals > 1).await?;
        handle.cancel();
        let cancelled = handle.await.is_err_and(|failed| failed.is_cancelled());
        Ok(format!("{passed}, {cancelled}, {}, {}", beside.await?, self.signals.get()))
    }

    #[signal]
    async fn ring(&self) {
        work(2).local().await.ok();
        self.signals.add(1);
    }
}

async fn long_local_activities(stage: Stage) -> History {
    stage
        .with_worker(async {
            let call = stage.client.start(LongLocalActivities::run()).id(&stage.id);
            let handle = call.task_timeout(Duration::from_secs(1)).await.unwrap();
            let completed = async |tasks: usize| loop {
                let history = handle.history().await.unwrap();
                if history.event_names().filter(|name| *name == "WorkflowTaskCompleted").count() >= tasks {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            completed(1).await;
            handle.ring().await.unwrap();
            completed(2).await;
            GATE.add_permits(1);
            completed(4).await;
            handle.ring().await.unwrap();
            assert_eq!(handle.result().await.unwrap(), "true, true, 10, 2");
            handle.history().await.unwrap()
        })
        .await
}
