//! Activities: how they run, how they are retried, and how workflows see their failures.

use everloop::activity::{ActivityCancelReason, ActivityCancellationType, TaskToken};
use everloop::client::{ActivityRef, HandleError, ResultError};
use everloop::data::{RetryState, TimeoutType};
use everloop::{RetryPolicy, prelude::*};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::world::{World, count, event, everywhere, run, until};

everywhere! {
    functions_and_methods_run_side_by_side,
    plain_function_activity_runs_on_its_own_thread,
    permanent_error_is_not_retried,
    activity_fails_after_its_maximum_of_attempts,
    activity_of_another_queue_runs_on_its_workers,
    activity_is_completed_by_another_client,
    activity_is_completed_by_its_id,
    activity_completed_later_is_cancelled_from_elsewhere,
    activity_fails_if_next_attempt_would_be_too_late;
    waiting: attempt_continues_from_last_heartbeat,
    error_sets_delay_of_next_attempt,
    activity_without_worker_times_out,
}

/// State that the activities of one test share.
struct Shop {
    tokens: UnboundedSender<TaskToken>,
}

fn shop() -> (Shop, UnboundedReceiver<TaskToken>) {
    let (tokens, receiver) = unbounded_channel();
    (Shop { tokens }, receiver)
}

#[derive(Debug, thiserror::Error)]
#[error("the card was refused")]
struct Refused(#[source] std::num::ParseIntError);

#[activities]
impl Shop {
    #[activity]
    async fn greet(&self, name: String) -> String {
        format!("hello {name}")
    }

    #[activity]
    fn block(&self, ctx: &ActivityContext) -> (bool, u32) {
        // The runtime's own threads must not be blocked; this one may be.
        let answer = std::thread::spawn(|| 5).join().expect("it does not panic");
        (tokio::runtime::Handle::try_current().is_ok(), answer * ctx.info().attempt)
    }

    /// Fails in two different ways. The third attempt returns the progress of the earlier ones.
    #[activity]
    async fn count_up(&self, ctx: &ActivityContext) -> ActivityResult<(u32, u32)> {
        let before = ctx.heartbeat_details::<u32>().transpose().map_err(ActivityError::new)?.unwrap_or_default();
        ctx.heartbeat(before + 10)?;
        match ctx.info().attempt {
            1 => Err(ActivityError::new("not yet")),
            2 => panic!("not yet, and loudly"),
            attempt => Ok((attempt, before)),
        }
    }

    #[activity]
    async fn pay(&self, amount: String) -> ActivityResult<u32> {
        match amount.as_str() {
            "nothing" => Err(ActivityError::non_retryable("pay something").type_name("Nothing").details(0)),
            amount => Ok(amount.parse().map_err(Refused)?),
        }
    }

    #[activity]
    async fn come_back_later(&self, ctx: &ActivityContext, wait: Duration) -> ActivityResult<u32> {
        match ctx.info().attempt {
            1 => Err(ActivityError::new("later").next_retry_delay(wait)),
            attempt => Ok(attempt),
        }
    }

    #[activity]
    async fn ask_someone(&self, ctx: &ActivityContext) -> ActivityResult<bool> {
        self.tokens.send(ctx.info().task_token.clone()).map_err(|_| ActivityError::new("the test is over"))?;
        ctx.heartbeat("asked".to_owned())?;
        Err(ctx.complete_later())
    }
}

/// A function, and not a method.
#[activity]
async fn shout(text: String) -> String {
    text.to_uppercase()
}

#[derive(Debug, Serialize, Deserialize)]
enum Errand {
    Greet,
    Block,
    CountUp,
    Pay(String, Option<u32>),
    ComeBack,
    OutOfTime,
    Nobody,
    Elsewhere(String),
    Ask,
    /// Cancels it as soon as the signal has come.
    AskUntilCancelled,
}

#[workflow]
#[derive(Default)]
struct Errands {
    stop: State<bool>,
}

#[workflow]
impl Errands {
    /// Runs an errand and returns its result; if an activity fails, the workflow fails with its failure.
    #[run]
    async fn run(&self, errand: Errand, wait: Duration) -> WorkflowResult<String> {
        let slow = RetryPolicy::new().initial_interval(wait);
        Ok(match errand {
            Errand::Greet => {
                let (one, two, three) =
                    join!(Shop::greet("ann".into()), shout("hey".into()), Shop::greet("bob".into()));
                format!("{}, {}, {}", one?, two?, three?)
            }
            Errand::Block => format!("{:?}", Shop::block().await?),
            Errand::CountUp => format!("{:?}", Shop::count_up().retry_policy(slow).await?),
            Errand::Pay(amount, attempts) => {
                let quick = RetryPolicy::new().initial_interval(Duration::from_millis(1));
                let policy = attempts.map_or(quick, |attempts| quick.maximum_attempts(attempts));
                let policy = policy.non_retryable_error_types(if attempts.is_none() { &["Refused"] } else { &[] });
                Shop::pay(amount).retry_policy(policy).await?.to_string()
            }
            Errand::ComeBack => Shop::come_back_later(wait).await?.to_string(),
            Errand::OutOfTime => {
                let call = Shop::pay("x".into()).retry_policy(slow.initial_interval(Duration::from_secs(3600)));
                let failure = call.schedule_to_close_timeout(Duration::from_secs(1800)).await.unwrap_err();
                format!("{:?}, {}", failure.retry_state(), failure.message())
            }
            Errand::Nobody => {
                let call = Shop::greet("nobody".into()).task_queue(workflow::info().task_queue.clone() + "-nobody");
                let failure = call.schedule_to_start_timeout(wait).await.unwrap_err();
                format!("{:?}, {:?}", failure.timeout(), failure.retry_state())
            }
            Errand::Elsewhere(queue) => shout("elsewhere".into()).task_queue(queue).await?,
            Errand::AskUntilCancelled => {
                let asked = Shop::ask_someone().activity_id("question");
                let asked = asked.cancellation_type(ActivityCancellationType::WaitCancellationCompleted).start();
                self.stop.wait(|stop| *stop).await?;
                asked.cancel();
                let failure = asked.await.unwrap_err();
                let details = failure.failure().details().and_then(|details| details.get::<String>(0));
                format!("{}, {details:?}", failure.is_cancelled())
            }
            Errand::Ask => Shop::ask_someone().retry_policy(RetryPolicy::new().maximum_attempts(1)).await?.to_string(),
        })
    }

    #[signal]
    fn stop(&self) {
        self.stop.set(true);
    }
}

/// Waits until an activity has sent these details.
async fn heartbeat_came(handle: &ErrandsHandle, details: &str) {
    until(async || {
        let description = handle.describe().await.unwrap();
        description.pending_activities().any(|it| it.heartbeat_details().get(0) == Some(Ok(details.to_owned())))
    })
    .await;
}

/// Runs an errand to its end.
async fn errand(world: &World, errand: Errand) -> (ErrandsHandle, Result<String, ResultError>) {
    let worker = world.worker().workflow::<Errands>().activity(shout).activities(shop().0);
    run(worker, async {
        let handle = world.client.start(Errands::run(errand, world.wait())).await.unwrap();
        let result = handle.result().await;
        (handle, result)
    })
    .await
}

async fn functions_and_methods_run_side_by_side(world: World) {
    let (handle, result) = errand(&world, Errand::Greet).await;
    assert_eq!(result.unwrap(), "hello ann, HEY, hello bob");
    let names: Vec<_> = handle.history().await.unwrap().event_names().collect();
    assert_eq!(names[4..7], ["ActivityTaskScheduled"; 3], "all are scheduled in one task");
}

async fn plain_function_activity_runs_on_its_own_thread(world: World) {
    assert_eq!(errand(&world, Errand::Block).await.1.unwrap(), "(true, 5)");
}

async fn attempt_continues_from_last_heartbeat(world: World) {
    let (handle, result) = errand(&world, Errand::CountUp).await;
    assert_eq!(result.unwrap(), "(3, 20)");
    let history = handle.history().await.unwrap();
    // Failed attempts have no events; the event of the last attempt has the failure of the one before.
    assert_eq!(count(&history, "ActivityTaskStarted"), 1);
    let timeline = history.timeline();
    assert!(timeline.contains("attempt 3, after: Panic: ") && timeline.contains("not yet, and loudly"), "{timeline}");
    // One interval, then a second one twice as long.
    world.assert_skipped(3 * world.wait());
}

async fn permanent_error_is_not_retried(world: World) {
    let (_, result) = errand(&world, Errand::Pay("nothing".into(), Some(5))).await;
    let Err(ResultError::Failed(failure)) = result else { panic!("{result:?}") };
    assert_eq!((failure.type_name(), failure.root_message()), (Some("Nothing"), "pay something"));
    assert_eq!(failure.details().unwrap().get::<u32>(0), Some(Ok(0)));
    // The policy can mark a type as permanent. The error's own source is kept as its cause.
    let (_, result) = errand(&world, Errand::Pay("much".into(), None)).await;
    let Err(ResultError::Failed(failure)) = result else { panic!("{result:?}") };
    let text = failure.to_string();
    assert!(text.ends_with("Refused: the card was refused: invalid digit found in string"), "{text}");
}

async fn activity_fails_after_its_maximum_of_attempts(world: World) {
    let (handle, result) = errand(&world, Errand::Pay("much".into(), Some(3))).await;
    let Err(ResultError::Failed(failure)) = result else { panic!("{result:?}") };
    let Some(everloop::data::FailureKind::Activity { activity_type, retry_state, .. }) = failure
        .chain()
        .map(|failure| &failure.kind)
        .find(|kind| matches!(kind, everloop::data::FailureKind::Activity { .. }))
    else {
        panic!("{failure:?}")
    };
    assert_eq!((activity_type.as_str(), *retry_state), ("pay", RetryState::MaximumAttemptsReached));
    let timeline = handle.history().await.unwrap().timeline();
    assert!(timeline.contains("attempt 3, after: Refused"), "{timeline}");
}

async fn error_sets_delay_of_next_attempt(world: World) {
    assert_eq!(errand(&world, Errand::ComeBack).await.1.unwrap(), "2");
    world.assert_skipped(world.wait());
}

async fn activity_fails_if_next_attempt_would_be_too_late(world: World) {
    let (_, result) = errand(&world, Errand::OutOfTime).await;
    assert_eq!(result.unwrap(), format!("{:?}, the card was refused", RetryState::Timeout));
}

async fn activity_without_worker_times_out(world: World) {
    let (_, result) = errand(&world, Errand::Nobody).await;
    let expected = (Some(TimeoutType::ScheduleToStart), RetryState::Timeout);
    assert_eq!(result.unwrap(), format!("{:?}, {:?}", expected.0, expected.1));
}

async fn activity_of_another_queue_runs_on_its_workers(world: World) {
    let queue = world.id("other");
    let other = Worker::builder(&world.client, &queue).activity(shout).build().unwrap();
    let here = world.worker().workflow::<Errands>();
    let result = other.run_until(run(here, async {
        world.client.execute(Errands::run(Errand::Elsewhere(queue), world.wait())).await
    }));
    assert_eq!(result.await.unwrap(), "ELSEWHERE");
}

async fn activity_is_completed_by_another_client(world: World) {
    let (shop, mut tokens) = shop();
    // One place for activities: the function that has returned does not hold it.
    let worker = world.worker().workflow::<Errands>().activities(shop).max_concurrent_activities(1);
    run(worker, async {
        let handle = world.client.start(Errands::run(Errand::Ask, world.wait())).await.unwrap();
        let other = world.client.start(Errands::run(Errand::Ask, world.wait())).await.unwrap();
        // The token travels as text.
        let (token, _) = (tokens.recv().await.unwrap(), tokens.recv().await.unwrap());
        let token: TaskToken = token.to_string().parse().unwrap();
        let someone = world.client.activity_handle(Shop::ask_someone, token);
        assert_eq!(someone.heartbeat(()).await.unwrap(), None);
        someone.complete(true).await.unwrap();
        let result = tokio::select! { result = handle.result() => result, result = other.result() => result };
        assert_eq!(result.unwrap(), "true");
        let error = someone.complete(true).await.unwrap_err();
        assert!(matches!(error, HandleError::ActivityEnded { .. }), "{error}");

        let handle = world.client.start(Errands::run(Errand::Ask, world.wait())).await.unwrap();
        let someone = world.client.activity_handle(Shop::ask_someone, tokens.recv().await.unwrap());
        someone.fail(ActivityError::new("nobody answered").type_name("Silence")).await.unwrap();
        let Err(ResultError::Failed(failure)) = handle.result().await else { panic!("it failed") };
        assert_eq!((failure.type_name(), failure.root_message()), (Some("Silence"), "nobody answered"));
        event(&handle, "ActivityTaskFailed").await;
    })
    .await;
}

async fn activity_is_completed_by_its_id(world: World) {
    let (shop, mut tokens) = shop();
    run(world.worker().workflow::<Errands>().activities(shop), async {
        let handle = world.client.start(Errands::run(Errand::AskUntilCancelled, world.wait())).await.unwrap();
        tokens.recv().await.unwrap();
        // Sent after its function returned, because the first heartbeat may be on its way.
        heartbeat_came(&handle, "asked").await;
        let question = ActivityRef::by_id(handle.id(), "question").of_run(handle.run_id().unwrap());
        let someone = world.client.activity_handle(Shop::ask_someone, question);
        assert_eq!(someone.heartbeat("thinks about it".to_owned()).await.unwrap(), None);
        heartbeat_came(&handle, "thinks about it").await;
        someone.fail(ActivityError::non_retryable("does not know")).await.unwrap();
        handle.stop().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "false, None");
        let error = someone.complete(true).await.unwrap_err();
        assert!(matches!(error, HandleError::ActivityEnded { .. }), "{error}");
        let nobody = world.client.untyped_activity_handle(ActivityRef::by_id(world.id("nobody"), "question"));
        let error = nobody.complete(&true).await.unwrap_err();
        assert!(matches!(error, HandleError::NotFound { .. }), "{error}");
    })
    .await;
}

async fn activity_completed_later_is_cancelled_from_elsewhere(world: World) {
    let (shop, mut tokens) = shop();
    run(world.worker().workflow::<Errands>().activities(shop), async {
        let handle = world.client.start(Errands::run(Errand::AskUntilCancelled, world.wait())).await.unwrap();
        let by_token = world.client.activity_handle(Shop::ask_someone, tokens.recv().await.unwrap());
        assert_eq!(by_token.heartbeat(1).await.unwrap(), None);
        handle.stop().await.unwrap();
        event(&handle, "ActivityTaskCancelRequested").await;
        assert_eq!(by_token.heartbeat(2).await.unwrap(), Some(ActivityCancelReason::Requested));
        let by_id = world.client.activity_handle(Shop::ask_someone, ActivityRef::by_id(handle.id(), "question"));
        assert_eq!(by_id.heartbeat(3).await.unwrap(), Some(ActivityCancelReason::Requested));
        by_id.cancelled("asked in vain".to_owned()).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "true, Some(Ok(\"asked in vain\"))");
    })
    .await;
}
