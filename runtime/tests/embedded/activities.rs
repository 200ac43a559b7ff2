//! Activities: attempts, heartbeats, cancellation, threads, completion from elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use everloop::RetryPolicy;
use everloop::activity::{ActivityCancelReason, ActivityCancellationType, TaskToken};
use everloop::client::{HandleError, ResultError};
use everloop::prelude::*;
use everloop::worker::WorkerError;
use everloop::{
    data::{PayloadCodec, PayloadCodecError, SerializationContext},
    raw,
};
use tokio::sync::{Notify, mpsc};

#[derive(Clone)]
struct Bench {
    tokens: mpsc::UnboundedSender<TaskToken>,
    reasons: mpsc::UnboundedSender<ActivityCancelReason>,
    attempts: Arc<AtomicU32>,
}

#[activities]
impl Bench {
    /// Fails twice, in different ways, and goes on where the last attempt stopped.
    #[activity]
    async fn count_up(&self, ctx: &ActivityContext) -> ActivityResult<Vec<u32>> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        let before = ctx.heartbeat_details::<u32>().transpose().map_err(ActivityError::new)?.unwrap_or_default();
        ctx.heartbeat(before + 1)?;
        match ctx.info().attempt {
            1 => Err(ActivityError::new("not yet")),
            2 => panic!("not yet, and loudly"),
            attempt => Ok(vec![attempt, before]),
        }
    }

    /// Waits for its cancellation, which heartbeats bring.
    #[activity(heartbeat_timeout = "2s")]
    async fn wait_to_be_cancelled(&self, ctx: &ActivityContext) -> ActivityResult<()> {
        let mut seconds = 0;
        let reason = loop {
            ctx.heartbeat(seconds)?;
            seconds += 1;
            tokio::select! {
                reason = ctx.cancelled() => break reason,
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
        };
        self.reasons.send(reason).map_err(|_| ActivityError::new("the test is over"))?;
        Err(ActivityError::cancelled())
    }

    #[activity]
    fn block(&self, text: String) -> String {
        // A thread of its own: it may block.
        std::thread::sleep(Duration::from_millis(1));
        format!("{text} {}", std::thread::current().name().is_some())
    }

    #[activity]
    async fn ask_someone(&self, ctx: &ActivityContext) -> ActivityResult<bool> {
        self.tokens.send(ctx.info().task_token.clone()).map_err(|_| ActivityError::new("the test is over"))?;
        Err(ctx.complete_later())
    }
}

#[workflow]
#[derive(Default)]
struct Attempts;

#[workflow]
impl Attempts {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<u32>> {
        Ok(Bench::count_up().retry_policy(RetryPolicy::new().initial_interval(Duration::from_secs(60))).await?)
    }
}

#[workflow]
#[derive(Default)]
struct CancelsActivity;

#[workflow]
impl CancelsActivity {
    #[run]
    async fn run(&self) -> WorkflowResult<bool> {
        let call = Bench::wait_to_be_cancelled().cancellation_type(ActivityCancellationType::WaitCancellationCompleted);
        match call.await {
            Err(failure) => Ok(failure.is_cancelled()),
            Ok(()) => Ok(false),
        }
    }
}

#[workflow]
#[derive(Default)]
struct Blocks;

#[workflow]
impl Blocks {
    #[run]
    async fn run(&self) -> WorkflowResult<String> {
        Ok(Bench::block("done".into()).await?)
    }
}

#[workflow]
#[derive(Default)]
struct Asks;

#[workflow]
impl Asks {
    #[run]
    async fn run(&self) -> WorkflowResult<bool> {
        Ok(Bench::ask_someone().retry_policy(RetryPolicy::new().maximum_attempts(1)).await?)
    }
}

struct Seen {
    client: Client,
    tokens: mpsc::UnboundedReceiver<TaskToken>,
    reasons: mpsc::UnboundedReceiver<ActivityCancelReason>,
    attempts: Arc<AtomicU32>,
}

async fn bench<F: Future>(story: impl FnOnce(Seen) -> F) -> F::Output {
    let client = Client::builder("memory:?clock=skipping").task_queue("bench").await.unwrap();
    let (token_sender, tokens) = mpsc::unbounded_channel();
    let (reason_sender, reasons) = mpsc::unbounded_channel();
    let attempts = Arc::new(AtomicU32::new(0));
    let worker = Worker::builder(&client, "bench")
        .workflow::<Attempts>()
        .workflow::<CancelsActivity>()
        .workflow::<Blocks>()
        .workflow::<Asks>()
        .activities(Bench { tokens: token_sender, reasons: reason_sender, attempts: attempts.clone() })
        .build()
        .unwrap();
    let story = story(Seen { client, tokens, reasons, attempts });
    worker.run_until(async { Ok::<_, WorkerError>(story.await) }).await.unwrap()
}

#[tokio::test]
async fn attempts_follow_each_other_and_know_what_was_done() {
    bench(async |seen| {
        assert_eq!(seen.client.execute(Attempts::run()).await.unwrap(), [3, 2]);
        assert_eq!(seen.attempts.load(Ordering::SeqCst), 3);
        // A minute, then two.
        assert!(seen.client.engine_clock().unwrap().skipped() >= Duration::from_secs(170));
    })
    .await;
}

#[tokio::test]
async fn an_activity_learns_of_its_cancellation() {
    bench(async |mut seen| {
        let handle = seen.client.start(CancelsActivity::run()).await.unwrap();
        while handle
            .describe()
            .await
            .unwrap()
            .pending_activities()
            .all(|activity| activity.heartbeat_details().is_empty())
        {
            tokio::task::yield_now().await;
        }
        handle.cancel().await.unwrap();
        assert_eq!(seen.reasons.recv().await, Some(ActivityCancelReason::Requested));
        assert!(handle.result().await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_function_that_is_not_async_has_a_thread() {
    bench(async |seen| assert_eq!(seen.client.execute(Blocks::run()).await.unwrap(), "done true")).await;
}

#[tokio::test]
async fn an_activity_is_completed_from_elsewhere() {
    bench(async |mut seen| {
        let handle = seen.client.start(Asks::run()).await.unwrap();
        let someone = seen.client.activity_handle(Bench::ask_someone, seen.tokens.recv().await.unwrap());
        assert_eq!(someone.heartbeat(()).await.unwrap(), None);
        someone.complete(true).await.unwrap();
        assert!(handle.result().await.unwrap());
        let error = someone.complete(true).await.unwrap_err();
        assert!(matches!(error, HandleError::ActivityEnded { .. }), "{error}");

        let handle = seen.client.start(Asks::run()).await.unwrap();
        let someone = seen.client.activity_handle(Bench::ask_someone, seen.tokens.recv().await.unwrap());
        someone.fail(ActivityError::new("nobody answered").type_name("Silence")).await.unwrap();
        let Err(ResultError::Failed(failure)) = handle.result().await else { panic!("it failed") };
        assert_eq!((failure.type_name(), failure.root_message()), (Some("Silence"), "nobody answered"));
    })
    .await;
}

/// A payload codec that never ends with a heartbeat, the first time.
#[derive(Clone, Default)]
struct HoldsHeartbeat {
    begun: Arc<Notify>,
    is_over: Arc<AtomicBool>,
}

impl PayloadCodec for HoldsHeartbeat {
    async fn encode(&self, payload: raw::Payload, _: &SerializationContext) -> Result<raw::Payload, PayloadCodecError> {
        if payload.data.as_ref() == b"41" && !self.is_over.swap(true, Ordering::SeqCst) {
            self.begun.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(payload)
    }

    async fn decode(&self, payload: raw::Payload, _: &SerializationContext) -> Result<raw::Payload, PayloadCodecError> {
        Ok(payload)
    }
}

#[activities]
impl HoldsHeartbeat {
    /// Fails while its heartbeat is on its way.
    #[activity]
    async fn resume(&self, ctx: &ActivityContext) -> ActivityResult<Option<u32>> {
        if ctx.info().attempt > 1 {
            return ctx.heartbeat_details::<u32>().transpose().map_err(ActivityError::new);
        }
        ctx.heartbeat(41)?;
        self.begun.notified().await;
        Err(ActivityError::new("not yet"))
    }
}

#[workflow]
#[derive(Default)]
struct Resumes;

#[workflow]
impl Resumes {
    #[run]
    async fn run(&self) -> WorkflowResult<Option<u32>> {
        Ok(HoldsHeartbeat::resume().await?)
    }
}

/// The next attempt goes on from there, although the worker gives up the call that carries the heartbeat.
#[tokio::test]
async fn details_of_a_heartbeat_on_its_way_go_along_with_the_failure() {
    let codec = HoldsHeartbeat::default();
    let client =
        Client::builder("memory:?clock=skipping").payload_codec(codec.clone()).task_queue("resume").await.unwrap();
    let worker = Worker::builder(&client, "resume").workflow::<Resumes>().activities(codec).build().unwrap();
    let resumed =
        worker.run_until(async { Ok::<_, Box<dyn std::error::Error>>(client.execute(Resumes::run()).await?) });
    assert_eq!(resumed.await.unwrap(), Some(41));
}
