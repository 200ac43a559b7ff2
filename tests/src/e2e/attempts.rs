//! Attempts that are ended from outside: by cancellation, and by time limits.

use everloop::activity::{ActivityCancelReason, ActivityCancellationType};
use everloop::client::{ActivityRef, HandleError, WorkflowStatus};
use everloop::data::TimeoutType;
use everloop::{ActivityFailure, RetryPolicy, prelude::*};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::world::{World, count, event, everywhere, run, until};

everywhere! {
    heartbeat_reports_cancellation_to_activity,
    cancelled_activity_may_still_return_a_result,
    workflow_may_end_before_cancelled_activities,
    abandoned_activity_is_not_notified,
    heartbeat_reports_end_of_workflow_to_activity,
    heartbeat_reports_that_another_program_completed_the_activity,
    heartbeat_reports_pause_and_next_attempt_waits_for_its_end,
    heartbeat_reports_reset,
    attempt_that_times_out_is_retried,
    attempt_without_heartbeats_is_retried,
}

/// Reports from activities to the test.
struct Bench(UnboundedSender<ActivityCancelReason>);

#[activities]
impl Bench {
    /// Waits for its cancellation, which heartbeats deliver.
    #[activity(heartbeat_timeout = "2s", retry_policy(maximum_attempts = 1))]
    async fn wait(&self, ctx: &ActivityContext, finishes: bool) -> ActivityResult<String> {
        if ctx.info().attempt > 1 {
            return Ok(format!("attempt {}", ctx.info().attempt));
        }
        ctx.heartbeat("alive")?;
        let mut pause = tokio::time::interval(Duration::from_millis(10));
        let reason = loop {
            tokio::select! {
                reason = ctx.cancelled() => break reason,
                _ = pause.tick() => ctx.heartbeat("alive")?,
            }
        };
        // The test may have ended, so that no receiver exists.
        let _ = self.0.send(reason);
        if finishes { Ok("finished".to_owned()) } else { Err(ActivityError::cancelled().details("half done")) }
    }

    /// The first attempt does nothing until the worker stops.
    #[activity(retry_policy(initial_interval = "10ms"))]
    async fn hang_once(&self, ctx: &ActivityContext) -> ActivityResult<u32> {
        if ctx.info().attempt > 1 {
            return Ok(ctx.info().attempt);
        }
        let _ = self.0.send(ctx.cancelled().await);
        ctx.worker_shutdown().await;
        Err(ActivityError::new("the worker stops"))
    }
}

#[derive(Serialize, Deserialize)]
enum Bother {
    Wait { finishes: bool, cancellation: String },
    HangOnce { start_to_close: Option<Duration>, heartbeat: Option<Duration> },
}

#[workflow]
#[derive(Default)]
struct Bothers;

#[workflow]
impl Bothers {
    #[run]
    async fn run(&self, bother: Bother) -> WorkflowResult<String> {
        match bother {
            Bother::Wait { finishes, cancellation } => {
                let cancellation_type = match cancellation.as_str() {
                    "wait" => ActivityCancellationType::WaitCancellationCompleted,
                    "try" => ActivityCancellationType::TryCancel,
                    _ => ActivityCancellationType::Abandon,
                };
                let mut call = Bench::wait(finishes).cancellation_type(cancellation_type);
                if cancellation == "retry" {
                    call = call.retry_policy(RetryPolicy::new().initial_interval(Duration::from_millis(10)));
                }
                let waited = call.await;
                if cancellation == "then" {
                    // The workflow is there for as long as the test needs it.
                    cancelled().await;
                }
                match waited {
                    Ok(text) => Ok(text),
                    Err(failure) => Ok(described(&failure)),
                }
            }
            Bother::HangOnce { start_to_close, heartbeat } => {
                let mut call = Bench::hang_once();
                if let Some(limit) = start_to_close {
                    call = call.start_to_close_timeout(limit);
                }
                if let Some(limit) = heartbeat {
                    call = call.heartbeat_timeout(limit);
                }
                let attempt = call.await?;
                // Without another attempt, the workflow gets the timeout itself.
                let mut call = Bench::hang_once().retry_policy(RetryPolicy::new().maximum_attempts(1));
                if let Some(limit) = start_to_close {
                    call = call.start_to_close_timeout(limit);
                }
                if let Some(limit) = heartbeat {
                    call = call.heartbeat_timeout(limit);
                }
                let failure = call.await.unwrap_err();
                Ok(format!("attempt {attempt}, then {:?}", failure.timeout()))
            }
        }
    }
}

fn described(failure: &ActivityFailure) -> String {
    let details = failure.failure().details().and_then(|details| details.get::<String>(0));
    format!("cancelled: {}, details: {details:?}", failure.is_cancelled())
}

fn bench(world: &World) -> (everloop::worker::WorkerBuilder, UnboundedReceiver<ActivityCancelReason>) {
    let (sender, reasons) = unbounded_channel();
    (world.worker().workflow::<Bothers>().activities(Bench(sender)), reasons)
}

/// Starts a workflow with a waiting activity, and waits until the activity runs.
async fn waiting(world: &World, finishes: bool, cancellation: &str) -> BothersHandle {
    let bother = Bother::Wait { finishes, cancellation: cancellation.to_owned() };
    let handle = world.client.start(Bothers::run(bother)).await.unwrap();
    until(|| async {
        let described = handle.describe().await.unwrap();
        described.pending_activities().any(|activity| {
            activity.activity_type() == "wait" && activity.heartbeat_details().get(0) == Some(Ok("alive".to_owned()))
        })
    })
    .await;
    handle
}

async fn heartbeat_reports_cancellation_to_activity(world: World) {
    let (worker, mut reasons) = bench(&world);
    run(worker, async {
        let handle = waiting(&world, false, "wait").await;
        handle.cancel().await.unwrap();
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::Requested));
        assert_eq!(handle.result().await.unwrap(), "cancelled: true, details: Some(Ok(\"half done\"))");
        let history = handle.history().await.unwrap();
        assert_eq!(count(&history, "ActivityTaskCanceled"), 1, "{}", history.timeline());
    })
    .await;
}

async fn cancelled_activity_may_still_return_a_result(world: World) {
    let (worker, mut reasons) = bench(&world);
    run(worker, async {
        let handle = waiting(&world, true, "wait").await;
        handle.cancel().await.unwrap();
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::Requested));
        assert_eq!(handle.result().await.unwrap(), "finished");
    })
    .await;
}

async fn workflow_may_end_before_cancelled_activities(world: World) {
    let (worker, mut reasons) = bench(&world);
    run(worker, async {
        let handle = waiting(&world, false, "try").await;
        handle.cancel().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "cancelled: true, details: None");
        let history = handle.history().await.unwrap();
        let end: Vec<_> = history.event_names().skip_while(|name| name != "WorkflowExecutionCancelRequested").collect();
        let expected = ["WorkflowTaskScheduled", "WorkflowTaskStarted", "WorkflowTaskCompleted"];
        assert_eq!(end[1..4], expected);
        assert_eq!(end[4..], ["ActivityTaskCancelRequested", "WorkflowExecutionCompleted"], "{}", history.timeline());
        // The request was dropped with the run: the activity only learns that its result is not needed.
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::WorkflowGone));
    })
    .await;
}

async fn abandoned_activity_is_not_notified(world: World) {
    let (worker, mut reasons) = bench(&world);
    run(worker, async {
        let handle = waiting(&world, true, "abandon").await;
        handle.cancel().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "cancelled: true, details: None");
        let history = handle.history().await.unwrap();
        assert_eq!(count(&history, "ActivityTaskCancelRequested"), 0, "{}", history.timeline());
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::WorkflowGone));
    })
    .await;
}

async fn heartbeat_reports_end_of_workflow_to_activity(world: World) {
    let (worker, mut reasons) = bench(&world);
    run(worker, async {
        let handle = waiting(&world, true, "wait").await;
        handle.terminate("no longer needed").await.unwrap();
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::WorkflowGone));
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Terminated);
    })
    .await;
}

async fn heartbeat_reports_that_another_program_completed_the_activity(world: World) {
    let (worker, mut reasons) = bench(&world);
    run(worker, async {
        let handle = waiting(&world, true, "then").await;
        let description = handle.describe().await.unwrap();
        let id = description.pending_activities().next().unwrap().activity_id().to_owned();
        let other = world.client.activity_handle(Bench::wait, ActivityRef::by_id(handle.id(), id));
        other.complete("by another program".to_owned()).await.unwrap();
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::AttemptOver));
        handle.cancel().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "by another program");
    })
    .await;
}

/// The id of the activity that waits.
async fn pending_id(handle: &BothersHandle) -> String {
    handle.describe().await.unwrap().pending_activities().next().unwrap().activity_id().to_owned()
}

async fn heartbeat_reports_pause_and_next_attempt_waits_for_its_end(world: World) {
    let (worker, mut reasons) = bench(&world);
    run(worker, async {
        let handle = waiting(&world, false, "retry").await;
        let id = pending_id(&handle).await;
        handle.pause_activity(&id, "the bank is down").await.unwrap();
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::Paused));
        // The attempt has failed, and no other one begins.
        until(async || {
            let description = handle.describe().await.unwrap();
            let activity = description.pending_activities().next().unwrap();
            let failure = activity.last_failure().map(|failure| failure.to_string()).unwrap_or_default();
            activity.is_paused() && activity.attempt() == 2 && failure.contains("the activity was cancelled: paused")
        })
        .await;
        assert!(handle.pause_activity(&id, "again").await.is_err());
        handle.unpause_activity(&id).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "attempt 2");
        let error = handle.unpause_activity(&id).await.unwrap_err();
        assert!(matches!(error, HandleError::NotFound { .. }), "{error}");
    })
    .await;
}

async fn heartbeat_reports_reset(world: World) {
    let (worker, mut reasons) = bench(&world);
    run(worker, async {
        let handle = waiting(&world, false, "retry").await;
        let id = pending_id(&handle).await;
        let error = handle.reset_activity("none").await.unwrap_err();
        assert!(matches!(error, HandleError::ActivityEnded { .. }), "{error}");
        handle.reset_activity(&id).await.unwrap();
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::Reset));
        assert_eq!(handle.result().await.unwrap(), "attempt 2");
    })
    .await;
}

async fn attempt_that_times_out_is_retried(world: World) {
    let (worker, mut reasons) = bench(&world);
    run(worker, async {
        let bother = Bother::HangOnce { start_to_close: Some(Duration::from_millis(300)), heartbeat: None };
        let handle = world.client.start(Bothers::run(bother)).await.unwrap();
        let expected = format!("attempt 2, then {:?}", Some(TimeoutType::StartToClose));
        assert_eq!(handle.result().await.unwrap(), expected);
        // Each abandoned attempt has been notified.
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::TimedOut));
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::TimedOut));
        event(&handle, "ActivityTaskTimedOut").await;
    })
    .await;
}

async fn attempt_without_heartbeats_is_retried(world: World) {
    let (worker, mut reasons) = bench(&world);
    run(worker, async {
        let bother = Bother::HangOnce { start_to_close: None, heartbeat: Some(Duration::from_millis(300)) };
        let handle = world.client.start(Bothers::run(bother)).await.unwrap();
        let expected = format!("attempt 2, then {:?}", Some(TimeoutType::Heartbeat));
        assert_eq!(handle.result().await.unwrap(), expected);
        // The worker counts for itself: an activity that sends nothing would learn of it from nobody.
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::TimedOut));
        assert_eq!(reasons.recv().await, Some(ActivityCancelReason::TimedOut));
    })
    .await;
}
