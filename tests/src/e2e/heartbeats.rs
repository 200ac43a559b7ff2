//! Heartbeats that the worker sends by itself, and the progress that they carry to the next attempt.

use everloop::activity::{ActivityCancelReason, ActivityCancellationType};
use everloop::{RetryPolicy, prelude::*};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, interval};

use super::world::{World, event, everywhere, run};

everywhere! {
    activity_that_makes_progress_outlives_its_heartbeat_timeout,
    activity_that_nothing_wakes_is_lost_and_its_progress_is_not,
    automatic_heartbeat_reports_cancellation,
}

const HEARTBEAT_TIMEOUT: Duration = Duration::from_millis(500);

/// Wakes its activity again and again, for this long.
async fn busy(for_this_long: Duration) {
    let (end, mut pause) = (Instant::now() + for_this_long, interval(Duration::from_millis(10)));
    while pause.tick().await < end {}
}

/// Reports from activities to the test.
struct Lab(UnboundedSender<ActivityCancelReason>);

#[activities]
impl Lab {
    #[activity(heartbeat = auto, heartbeat_timeout = "500ms", retry_policy(maximum_attempts = 1))]
    async fn work(&self) -> ActivityResult<u32> {
        busy(HEARTBEAT_TIMEOUT * 3).await;
        Ok(7)
    }

    /// The first attempt records its progress and fails, the second one hangs.
    #[activity(heartbeat = auto, heartbeat_timeout = "500ms", retry_policy(initial_interval = "10ms"))]
    async fn resume(&self, ctx: &ActivityContext) -> ActivityResult<(u32, Option<u32>)> {
        let mut progress = ctx.progress::<u32>()?;
        match ctx.info().attempt {
            1 => {
                progress.record(41)?;
                Err(ActivityError::new("not yet"))
            }
            2 => {
                // Heartbeats without details are sent meanwhile.
                busy(HEARTBEAT_TIMEOUT).await;
                let _ = self.0.send(ctx.cancelled().await);
                ctx.worker_shutdown().await;
                Err(ActivityError::new("the worker stops"))
            }
            attempt => Ok((attempt, progress.last().copied())),
        }
    }

    #[activity(heartbeat = auto, heartbeat_timeout = "500ms", retry_policy(maximum_attempts = 1))]
    async fn work_until_cancelled(&self, ctx: &ActivityContext) -> ActivityResult<()> {
        tokio::select! {
            reason = ctx.cancelled() => {
                let _ = self.0.send(reason);
                Err(ActivityError::cancelled())
            }
            () = busy(Duration::MAX / 4) => Ok(()),
        }
    }
}

#[workflow]
#[derive(Default)]
struct Experiment;

#[workflow]
impl Experiment {
    #[run]
    async fn run(&self, which: String) -> WorkflowResult<String> {
        Ok(match which.as_str() {
            "work" => Lab::work().await?.to_string(),
            "resume" => format!("{:?}", Lab::resume().await?),
            _ => {
                let call = Lab::work_until_cancelled().retry_policy(RetryPolicy::new().maximum_attempts(1));
                let call = call.cancellation_type(ActivityCancellationType::WaitCancellationCompleted);
                format!("cancelled: {}", call.await.unwrap_err().is_cancelled())
            }
        })
    }
}

fn lab(world: &World) -> (everloop::worker::WorkerBuilder, UnboundedReceiver<ActivityCancelReason>) {
    let (sender, reasons) = unbounded_channel();
    (world.worker().workflow::<Experiment>().activities(Lab(sender)), reasons)
}

async fn activity_that_makes_progress_outlives_its_heartbeat_timeout(world: World) {
    run(lab(&world).0, async {
        assert_eq!(world.client.execute(Experiment::run("work".to_owned())).await.unwrap(), "7");
    })
    .await;
}

async fn activity_that_nothing_wakes_is_lost_and_its_progress_is_not(world: World) {
    let (worker, mut reasons) = lab(&world);
    run(worker, async {
        let resumed = world.client.execute(Experiment::run("resume".to_owned())).await.unwrap();
        assert_eq!(resumed, "(3, Some(41))");
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::TimedOut));
    })
    .await;
}

async fn automatic_heartbeat_reports_cancellation(world: World) {
    let (worker, mut reasons) = lab(&world);
    run(worker, async {
        let handle = world.client.start(Experiment::run("cancel".to_owned())).await.unwrap();
        event(&handle, "ActivityTaskScheduled").await;
        // Cancelled once it runs: an activity that no worker has is cancelled without one.
        while !handle.describe().await.unwrap().pending_activities().any(|it| !it.last_worker_identity().is_empty()) {
            tokio::task::yield_now().await;
        }
        handle.cancel().await.unwrap();
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::Requested));
        assert_eq!(handle.result().await.unwrap(), "cancelled: true");
    })
    .await;
}
