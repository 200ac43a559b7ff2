//! Calls that wait for a workflow whose task has failed.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::client::{QueryError, UpdateError};
use crate::prelude::*;
use crate::testing::WorkflowEnvironment;

/// Panics after a day, and in one of its updates.
#[workflow]
#[derive(Default)]
struct Stumbles {
    stage: State<u32>,
}

#[workflow]
impl Stumbles {
    #[run]
    async fn run(&self, index: u32) -> WorkflowResult<u32> {
        sleep(Duration::from_secs(24 * 3600)).await?;
        let amount = [1, 2, 3][index as usize];
        self.stage.set(amount);
        self.stage.wait(|stage| *stage == 0).await?;
        Ok(amount)
    }

    #[query]
    fn stage(&self) -> u32 {
        self.stage.get()
    }

    #[update]
    async fn pick(&self, index: u32) -> u32 {
        [1, 2, 3][index as usize]
    }

    #[update]
    async fn in_two_days(&self) -> WorkflowResult<u32> {
        sleep(Duration::from_secs(2 * 24 * 3600)).await?;
        Ok(2)
    }
}

/// Whether a message names the failed task, and the line.
fn names_the_line(message: &str) -> bool {
    message.starts_with("a task of workflow `it` failed: ")
        && message.contains("index is 7")
        && message.contains("testing/tests/failing.rs:")
}

/// Runs a story with a started workflow whose code panics at index 7.
async fn with_stumbling<F: Future<Output = ()>>(
    env: &WorkflowEnvironment,
    index: u32,
    story: impl FnOnce(StumblesHandle) -> F,
) {
    let worker = env.worker("test").workflow::<Stumbles>().build().unwrap();
    let story = async {
        let started = env.client().start(Stumbles::run(index)).id("it").await.unwrap();
        story(started).await;
    };
    worker.run_until(story).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_awaited_update_fails_with_its_workflow_task() {
    let env = WorkflowEnvironment::start().await.unwrap();
    let story = async |it: StumblesHandle| {
        let error = it.pick(7).await.unwrap_err();
        assert!(matches!(error, UpdateError::TaskFailed { .. }), "{error}");
        assert!(names_the_line(&error.to_string()), "{error}");
        // Later calls do not wait either.
        let error = it.pick(1).start().await.err().unwrap();
        assert!(names_the_line(&error.to_string()), "{error}");
    };
    with_stumbling(&env, 0, story).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_update_fails_with_a_later_workflow_task() {
    let env = WorkflowEnvironment::start().await.unwrap();
    let story = async |it: StumblesHandle| {
        let accepted = it.in_two_days().start().await.unwrap();
        let error = accepted.result().await.unwrap_err();
        assert!(matches!(error, UpdateError::TaskFailed { .. }), "{error}");
        assert!(names_the_line(&error.to_string()), "{error}");
    };
    with_stumbling(&env, 7, story).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_fails_with_its_workflow_task() {
    let env = WorkflowEnvironment::start().await.unwrap();
    let story = async |it: StumblesHandle| {
        it.result().await.unwrap_err();
        let error = it.stage().await.unwrap_err();
        assert!(matches!(error, QueryError::TaskFailed { .. }), "{error}");
        assert!(names_the_line(&error.to_string()), "{error}");
    };
    with_stumbling(&env, 7, story).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[should_panic(expected = "the condition of skip_until does not hold, and a task of workflow `it` failed: ")]
async fn skip_until_panics_when_a_workflow_task_fails() {
    let env = WorkflowEnvironment::start().await.unwrap();
    with_stumbling(&env, 7, async |it: StumblesHandle| {
        env.skip_until(async || it.stage().await.is_ok_and(|stage| stage > 0)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skip_until_goes_on_after_a_failure_that_the_test_has_seen() {
    let env = WorkflowEnvironment::start().await.unwrap();
    with_stumbling(&env, 7, async |it: StumblesHandle| {
        it.result().await.unwrap_err();
        // Its task would be retried, and hold the clock.
        it.terminate("it cannot go on").await.unwrap();
        let other = env.client().start(Stumbles::run(2)).id("other").await.unwrap();
        env.skip_until(async || other.stage().await.unwrap() == 3).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_run_of_an_id_does_not_inherit_a_failure() {
    let env = WorkflowEnvironment::start().await.unwrap();
    with_stumbling(&env, 7, async |it: StumblesHandle| {
        it.result().await.unwrap_err();
        it.terminate("it cannot go on").await.unwrap();
        let again = env.client().start(Stumbles::run(1)).id("it").await.unwrap();
        assert_eq!(again.pick(2).await.unwrap(), 3);
    })
    .await;
}

static ATTEMPTS: AtomicU32 = AtomicU32::new(0);

/// Fails its first task, as after an incomplete deploy, and continues with the next one.
#[workflow]
#[derive(Default)]
struct Mended {}

#[workflow]
impl Mended {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        assert!(ATTEMPTS.fetch_add(1, Ordering::Relaxed) > 0, "the fix is not deployed yet");
        Ok(5)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflow_tasks_are_retried_where_the_test_wants_it() {
    let env = WorkflowEnvironment::start().await.unwrap().retry_workflow_tasks();
    let worker = env.worker("test").workflow::<Mended>().build().unwrap();
    assert_eq!(worker.run_until(env.client().execute(Mended::run())).await.unwrap(), 5);
}
