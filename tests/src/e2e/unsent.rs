//! Oversized messages are reported with their cause, and later messages are sent.

use everloop::client::ResultError;
use everloop::prelude::*;
use everloop::{ActivityFailure, RetryPolicy};

use super::world::{World, event, everywhere, run};

everywhere![
    a_result_of_an_activity_that_is_too_large_fails_it_at_its_first_attempt,
    a_failure_of_an_activity_that_is_too_large_is_cut,
    details_of_a_heartbeat_that_are_too_large_fail_the_activity,
    a_completion_that_is_too_large_ends_the_workflow_with_its_cause,
    answers_that_are_too_large_fail_alone,
];

/// Larger than a gRPC message may be.
const TOO_LARGE_BYTES: usize = 5 << 20;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum What {
    Result,
    Failure,
    Heartbeat,
}

#[activity(start_to_close_timeout = "1m")]
async fn large(ctx: &ActivityContext, what: What) -> ActivityResult<String> {
    let text = "x".repeat(TOO_LARGE_BYTES);
    match what {
        What::Result => Ok(text),
        What::Failure => Err(ActivityError::non_retryable(format!("declined {}", ctx.info().attempt)).details(text)),
        What::Heartbeat => {
            ctx.heartbeat(text)?;
            ctx.cancelled().await;
            // This caller's waiter may have gone already.
            std::future::pending().await
        }
    }
}

#[activity(start_to_close_timeout = "1m")]
async fn small() -> ActivityResult<String> {
    Ok("small".to_owned())
}

#[workflow]
#[derive(Default)]
struct Calls {}

#[workflow]
impl Calls {
    #[run]
    async fn run(&self, what: What) -> WorkflowResult<(String, String)> {
        let retried = RetryPolicy::new().initial_interval(Duration::from_millis(1)).maximum_attempts(3);
        let failure = large(what).retry_policy(retried).await.map(drop).unwrap_err();
        Ok((full(&failure), small().await?))
    }
}

/// Formats the relevant parts of a failure: its causes and why it was not retried.
fn full(failure: &ActivityFailure) -> String {
    format!("{:?}: {failure}", failure.retry_state()).chars().take(2000).collect()
}

#[workflow]
#[derive(Default)]
struct Answers {
    done: State<bool>,
}

#[workflow]
impl Answers {
    #[run]
    async fn run(&self, itself: bool) -> WorkflowResult<String> {
        if itself {
            return Ok("x".repeat(TOO_LARGE_BYTES));
        }
        wait_condition(|| self.done.get()).await?;
        Ok("done".to_owned())
    }

    #[signal]
    fn finish(&self) {
        self.done.set(true);
    }

    #[query]
    fn large_answer(&self) -> String {
        "x".repeat(TOO_LARGE_BYTES)
    }

    #[query]
    fn small_answer(&self) -> String {
        "small".to_owned()
    }

    #[update]
    async fn large_update(&self) -> WorkflowResult<String> {
        Ok("x".repeat(TOO_LARGE_BYTES))
    }
}

async fn called(world: &World, what: What) -> String {
    let worker = world.worker().workflow::<Calls>().activity(large).activity(small);
    let (failure, after) = run(worker, async {
        world.client.start(Calls::run(what)).id(world.id("calls")).await.unwrap().result().await.unwrap()
    })
    .await;
    assert_eq!(after, "small");
    failure
}

async fn a_result_of_an_activity_that_is_too_large_fails_it_at_its_first_attempt(world: World) {
    let failure = called(&world, What::Result).await;
    // In process the server itself rejects it, with its own message.
    assert!(failure.contains("MessageTooLarge") || failure.contains("size limit"), "{failure}");
    assert!(failure.contains("NonRetryableFailure"), "{failure}");
}

async fn a_failure_of_an_activity_that_is_too_large_is_cut(world: World) {
    let failure = called(&world, What::Failure).await;
    assert!(failure.contains("declined 1"), "it stays final: {failure}");
}

async fn details_of_a_heartbeat_that_are_too_large_fail_the_activity(world: World) {
    let failure = called(&world, What::Heartbeat).await;
    assert!(failure.contains("MessageTooLarge") || failure.contains("size limit"), "{failure}");
}

async fn a_completion_that_is_too_large_ends_the_workflow_with_its_cause(world: World) {
    let worker = world.worker().workflow::<Answers>().activity(small);
    run(worker, async {
        let handle = world.client.start(Answers::run(true)).id(world.id("large")).await.unwrap();
        let error = handle.result().await.unwrap_err();
        assert!(!matches!(error, ResultError::Rpc(_)), "{error:?}");
        let handle = world.client.start(Answers::run(false)).id(world.id("small")).await.unwrap();
        handle.finish().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "done");
    })
    .await;
}

async fn answers_that_are_too_large_fail_alone(world: World) {
    if world.target.is_in_process() {
        // In process there is no limit on messages.
        return;
    }
    let worker = world.worker().workflow::<Answers>();
    run(worker, async {
        let handle = world.client.start(Answers::run(false)).id(world.id("answers")).await.unwrap();
        event(&handle, "WorkflowTaskCompleted").await;
        let error = handle.large_answer().await.unwrap_err();
        assert!(error.to_string().contains("cannot be sent"), "{error}");
        assert_eq!(handle.small_answer().await.unwrap(), "small");
        let error = handle.large_update().await.unwrap_err();
        assert!(error.to_string().contains("cannot be sent"), "{error}");
        handle.finish().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), "done");
    })
    .await;
}
