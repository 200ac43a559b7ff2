//! Cancelled workflows, during all kinds of operations and before the first task.

use everloop::activity::ActivityCancellationType;
use everloop::client::{History, ResultError};
use everloop::prelude::*;

use super::{LONG, SHORT, wait_for_the_end, work};
use crate::recorded::stage::{Stage, recordings};

recordings! { cancelled_workflow: Trip; cancelled_before_the_first_task: Trip }

#[workflow]
#[derive(Default)]
struct Trip {
    is_under_way: State<bool>,
    seen: State<Vec<String>>,
}

#[workflow]
impl Trip {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        // The cancellation reaches neither the shielded operation nor a handler.
        drop(shield(async {
            sleep(SHORT * 2).await.ok();
            work(1).await.ok();
        }));
        let beside = workflow::this::<Self>();
        drop(spawn(async move {
            let (_sender, receiver) = tokio::sync::oneshot::channel::<()>();
            select! {
                _ = receiver => {}
                () = cancelled() => beside.seen.push("told beside".to_owned()),
            }
        }));
        let waiting = wait_for_the_end().cancellation_type(ActivityCancellationType::WaitCancellationCompleted);
        let both = async { join!(sleep(LONG), waiting) };
        let (slept, (limited, waited)) = {
            self.is_under_way.set(true);
            join!(timeout(LONG, sleep(LONG)), both)
        };
        self.seen.push(format!("{:?} {} {}", slept.map(|slept| slept.is_ok()), limited.is_ok(), waited.is_ok()));

        // The cancellation is delivered once: neither this operation nor a condition is cancelled.
        let undone = work(2).await?;
        self.seen.push(format!("undone {undone}, cancelled {}", workflow::is_cancelled()));
        wait_condition(workflow::all_handlers_finished).await?;
        if workflow::random::<bool>() {
            sleep(SHORT).await?;
        }
        Err(everloop::Cancelled.into())
    }

    #[update]
    async fn under_way(&self) -> WorkflowResult<u32> {
        self.is_under_way.wait(|is_under_way| *is_under_way).await?;
        Ok(1)
    }

    #[signal]
    async fn look_after(&self) -> WorkflowResult<()> {
        sleep(SHORT * 4).await?;
        self.seen.push(format!("a handler is cancelled: {}", workflow::is_cancelled()));
        Ok(())
    }
}

async fn cancelled_workflow(stage: Stage) -> History {
    stage
        .with_worker(async {
            let trip = stage.client.start(Trip::run()).id(&stage.id).await.unwrap();
            trip.look_after().await.unwrap();
            trip.under_way().await.unwrap();
            trip.cancel().await.unwrap();
            // Cancellation is a state, not a message: the second request changes nothing.
            trip.cancel().await.unwrap();
            assert!(matches!(trip.result().await, Err(ResultError::Cancelled { .. })));
            trip.history().await.unwrap()
        })
        .await
}

async fn cancelled_before_the_first_task(stage: Stage) -> History {
    let trip = stage.client.start(Trip::run()).id(&stage.id).await.unwrap();
    trip.look_after().await.unwrap();
    trip.cancel().await.unwrap();
    stage
        .with_worker(async {
            // One operation is cancelled, the other one stays pending: the trip continues until its final cancellation.
            trip.under_way().await.unwrap();
            trip.terminate("it would wait for an hour").await.unwrap();
            assert!(matches!(trip.result().await, Err(ResultError::Terminated { .. })));
            trip.history().await.unwrap()
        })
        .await
}
