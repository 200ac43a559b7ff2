//! The replay check of updates.

use std::collections::HashMap;

use crate::prelude::*;
use crate::testing::WorkflowEnvironment;

/// A workflow whose updates iterate over a hash map.
#[workflow]
#[derive(Default)]
struct Names {
    is_done: State<bool>,
}

#[workflow]
impl Names {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        self.is_done.wait(|is_done| *is_done).await?;
        Ok(1)
    }

    #[update]
    async fn joined(&self) -> String {
        let names: Vec<String> = numbers().keys().map(ToString::to_string).collect();
        names.join(" ")
    }

    #[update]
    async fn refused(&self) -> WorkflowResult<u32> {
        sleep(Duration::from_secs(60)).await?;
        let names: Vec<String> = numbers().keys().map(ToString::to_string).collect();
        Err(WorkflowError::new(names.join(" ")))
    }

    /// Returns the map, in which the order has no meaning.
    #[update]
    async fn mapped(&self) -> HashMap<u32, u32> {
        numbers()
    }

    #[update]
    async fn finish(&self) -> WorkflowResult<()> {
        self.is_done.set(true);
        Err(WorkflowError::new("it is late").details(numbers()))
    }
}

/// A map that iterates in another order each time.
fn numbers() -> HashMap<u32, u32> {
    (0..30).map(|n| (n, n)).collect()
}

/// Sends updates to a workflow. Returns its result, or the text of the failed check.
async fn result_after(updates: impl AsyncFnOnce(&NamesHandle)) -> Result<u32, String> {
    let env = WorkflowEnvironment::start().await.unwrap();
    let worker = env.worker("test").workflow::<Names>().build().unwrap();
    let story = async {
        let names = env.client().start(Names::run()).id("it").await.unwrap();
        updates(&names).await;
        names.finish().await.unwrap_err();
        names.result().await.map_err(|error| error.to_string())
    };
    let result = worker.run_until(async { Ok::<_, Box<dyn std::error::Error>>(story.await) });
    result.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_returns_another_text_on_replay_is_found() {
    let updates = async |names: &NamesHandle| {
        names.joined().id("names-1").await.unwrap();
    };
    let error = result_after(updates).await.unwrap_err();
    assert!(error.starts_with("a task of workflow `it` failed: "), "{error}");
    assert!(error.contains("the replay check found: event "), "{error}");
    assert!(error.contains(": the update `joined` (id `names-1`) returned \""), "{error}");
    assert!(error.contains("when the same code ran again") && error.contains("`HashMap`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_fails_with_another_text_on_replay_is_found() {
    let updates = async |names: &NamesHandle| {
        names.refused().await.unwrap_err();
    };
    let error = result_after(updates).await.unwrap_err();
    assert!(error.contains("the update `refused` (id `") && error.contains("failed with `"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_that_return_the_same_on_replay_pass() {
    let updates = async |names: &NamesHandle| {
        assert_eq!(names.mapped().await.unwrap(), numbers());
        let (one, other) = tokio::join!(names.mapped(), names.mapped());
        assert_eq!(one.unwrap(), other.unwrap());
    };
    assert_eq!(result_after(updates).await, Ok(1));
}
