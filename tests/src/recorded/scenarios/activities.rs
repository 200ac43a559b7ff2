//! Activities: how they are scheduled, how they end, and how they are cancelled.

use everloop::activity::ActivityCancellationType;
use everloop::client::History;
use everloop::{ActivityFailure, prelude::*};

use super::{LONG, SHORT, decline, fail_at_first, take_too_long, wait_for_the_end, work, work_alone};
use crate::recorded::stage::{Stage, recordings};

recordings! { activities: Activities; cancelled_activities: CancelledActivities }

#[workflow]
#[derive(Default)]
struct Activities;

#[workflow]
impl Activities {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        let mut seen = Vec::new();
        let (one, alone, late) = join!(work(1).summary("the first one"), work_alone(2), fail_at_first(2));
        seen.push(format!("{}, {}, attempt {}", one?, alone?, late?));

        let all = join_all((3..6).map(work)).await;
        seen.push(format!("{:?}", all.into_iter().collect::<Result<Vec<_>, _>>()?));

        seen.push(outcome(decline("no money".into()).await));
        seen.push(outcome(take_too_long().await));
        seen.push(outcome(work(workflow::random::<u8>().into()).activity_id("by name").await.map(|_| 0)));

        // One is started and waited for later, one is dropped, one never begins.
        let later = work(6).start();
        drop(work(7).start());
        drop(work(8).start().cancel_on_drop());
        sleep(SHORT).await?;
        seen.push(outcome(later.await));
        seen.push(outcome(spawn(work(9)).await?));
        Ok(seen)
    }
}

async fn activities(stage: Stage) -> History {
    stage
        .with_worker(async {
            let handle = stage.client.start(Activities::run()).id(&stage.id).await.unwrap();
            let seen = handle.result().await.unwrap();
            assert_eq!(seen[..2], ["10, 20, attempt 3", "[30, 40, 50]"]);
            assert!(seen[2] == "Declined: declined" && seen[3] == "out of time: StartToClose", "{seen:?}");
            handle.history().await.unwrap()
        })
        .await
}

#[workflow]
#[derive(Default)]
struct CancelledActivities;

#[workflow]
impl CancelledActivities {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        use ActivityCancellationType::{Abandon, TryCancel, WaitCancellationCompleted};
        let mut seen = Vec::new();
        for kind in [TryCancel, WaitCancellationCompleted, Abandon] {
            let activity = wait_for_the_end().cancellation_type(kind).start();
            sleep(SHORT).await?;
            activity.cancel();
            seen.push(outcome(activity.await));
        }

        // Operations left over by a limit or a race are cancelled, too.
        seen.push(format!("in time: {}", timeout(SHORT, wait_for_the_end()).await.is_ok()));
        select! {
            _ = wait_for_the_end() => {}
            ended = sleep(SHORT) => ended?,
        }
        // No worker has it yet, so it ends at once.
        let queued = work(1).task_queue(format!("nobody-{}", workflow::info().workflow_id)).start();
        sleep(SHORT).await?;
        queued.cancel();
        seen.push(outcome(queued.await));
        // Scheduled and cancelled within one task.
        let withdrawn = work(2).start();
        withdrawn.cancel();
        seen.push(outcome(withdrawn.await));
        // The results of cancelled activities are ignored.
        sleep(SHORT * 20).await?;
        seen.push(outcome(timeout(LONG, work(3)).await?));
        Ok(seen)
    }
}

async fn cancelled_activities(stage: Stage) -> History {
    stage
        .with_worker(async {
            let handle = stage.client.start(CancelledActivities::run()).id(&stage.id).await.unwrap();
            let seen = handle.result().await.unwrap();
            assert!(seen[..3].iter().all(|outcome| outcome == "cancelled"), "{seen:?}");
            assert!(seen[3] == "in time: false" && seen.last().unwrap() == "30", "{seen:?}");
            handle.history().await.unwrap()
        })
        .await
}

/// Formats how an activity ended, in words that are the same for any run.
fn outcome(ended: Result<u32, ActivityFailure>) -> String {
    match ended {
        Ok(n) => n.to_string(),
        Err(failure) if failure.is_cancelled() => "cancelled".to_owned(),
        Err(failure) => match failure.timeout() {
            Some(limit) => format!("out of time: {limit:?}"),
            None => format!("{}: {}", failure.type_name().unwrap_or_default(), failure.message()),
        },
    }
}
