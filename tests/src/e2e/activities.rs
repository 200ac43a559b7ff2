//! Activities: how they run, how they are tried again, what workflows learn of their failures.

use everloop::activity::TaskToken;
use everloop::client::ResultError;
use everloop::data::{RetryState, TimeoutType};
use everloop::{RetryPolicy, prelude::*};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::world::{World, count, event, everywhere, run};

everywhere! {
    functions_and_methods_run_side_by_side,
    a_plain_function_has_a_thread_of_its_own,
    an_error_that_is_final_is_not_tried_again,
    attempts_run_out,
    another_queue_has_workers_of_its_own,
    someone_else_completes_it,
    there_is_no_time_for_another_attempt;
    waiting: attempts_go_on_where_the_last_one_was,
    the_error_says_when_to_try_again,
    nobody_takes_it_in_time,
}

/// What activities of one test share.
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
        // A runtime's own threads must not be blocked; this one may be.
        let answer = std::thread::spawn(|| 5).join().expect("it does not panic");
        (tokio::runtime::Handle::try_current().is_ok(), answer * ctx.info().attempt)
    }

    /// Fails in one way, then in another, and tells the third attempt how far it was.
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
        ctx.complete_elsewhere();
        Ok(false)
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
}

#[workflow]
#[derive(Default)]
struct Errands;

#[workflow]
impl Errands {
    /// Runs an errand and tells what came of it; where an activity fails, its failure is the workflow's.
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
            Errand::Ask => Shop::ask_someone().retry_policy(RetryPolicy::new().maximum_attempts(1)).await?.to_string(),
        })
    }
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

async fn a_plain_function_has_a_thread_of_its_own(world: World) {
    assert_eq!(errand(&world, Errand::Block).await.1.unwrap(), "(true, 5)");
}

async fn attempts_go_on_where_the_last_one_was(world: World) {
    let (handle, result) = errand(&world, Errand::CountUp).await;
    assert_eq!(result.unwrap(), "(3, 20)");
    let history = handle.history().await.unwrap();
    // Attempts that failed are no events; the one that counts tells of the one before.
    assert_eq!(count(&history, "ActivityTaskStarted"), 1);
    let timeline = history.timeline();
    assert!(timeline.contains("attempt 3, after: Panic: ") && timeline.contains("not yet, and loudly"), "{timeline}");
    // One interval, then one of twice its length.
    world.assert_skipped(3 * world.wait());
}

async fn an_error_that_is_final_is_not_tried_again(world: World) {
    let (_, result) = errand(&world, Errand::Pay("nothing".into(), Some(5))).await;
    let Err(ResultError::Failed(failure)) = result else { panic!("{result:?}") };
    assert_eq!((failure.type_name(), failure.root_message()), (Some("Nothing"), "pay something"));
    assert_eq!(failure.details().unwrap().get::<u32>(0), Some(Ok(0)));
    // The policy can say of a type that it is final. The error's own source is kept as its cause.
    let (_, result) = errand(&world, Errand::Pay("much".into(), None)).await;
    let Err(ResultError::Failed(failure)) = result else { panic!("{result:?}") };
    let text = failure.to_string();
    assert!(text.ends_with("Refused: the card was refused: invalid digit found in string"), "{text}");
}

async fn attempts_run_out(world: World) {
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

async fn the_error_says_when_to_try_again(world: World) {
    assert_eq!(errand(&world, Errand::ComeBack).await.1.unwrap(), "2");
    world.assert_skipped(world.wait());
}

async fn there_is_no_time_for_another_attempt(world: World) {
    let (_, result) = errand(&world, Errand::OutOfTime).await;
    assert_eq!(result.unwrap(), format!("{:?}, the card was refused", RetryState::Timeout));
}

async fn nobody_takes_it_in_time(world: World) {
    let (_, result) = errand(&world, Errand::Nobody).await;
    let expected = (Some(TimeoutType::ScheduleToStart), RetryState::Timeout);
    assert_eq!(result.unwrap(), format!("{:?}, {:?}", expected.0, expected.1));
}

async fn another_queue_has_workers_of_its_own(world: World) {
    let queue = world.id("other");
    let other = Worker::builder(&world.client, &queue).activity(shout).build().unwrap();
    let here = world.worker().workflow::<Errands>();
    let result = other.run_until(run(here, async {
        world.client.execute(Errands::run(Errand::Elsewhere(queue), world.wait())).await
    }));
    assert_eq!(result.await.unwrap(), "ELSEWHERE");
}

async fn someone_else_completes_it(world: World) {
    let (shop, mut tokens) = shop();
    run(world.worker().workflow::<Errands>().activities(shop), async {
        let handle = world.client.start(Errands::run(Errand::Ask, world.wait())).await.unwrap();
        let someone = world.client.activity_handle(tokens.recv().await.unwrap());
        assert_eq!(someone.heartbeat(Default::default()).await.unwrap(), None);
        someone.complete(&true).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "true");
        let error = someone.complete(&true).await.unwrap_err().to_string();
        assert!(error.contains("not found") || error.contains("already"), "{error}");

        let handle = world.client.start(Errands::run(Errand::Ask, world.wait())).await.unwrap();
        let someone = world.client.activity_handle(tokens.recv().await.unwrap());
        someone.fail(ActivityError::new("nobody answered").type_name("Silence")).await.unwrap();
        let Err(ResultError::Failed(failure)) = handle.result().await else { panic!("it failed") };
        assert_eq!((failure.type_name(), failure.root_message()), (Some("Silence"), "nobody answered"));
        event(&handle, "ActivityTaskFailed").await;
    })
    .await;
}
