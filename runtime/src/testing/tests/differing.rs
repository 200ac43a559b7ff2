//! Values that differ when the same code runs again.

use super::*;

/// Calls activities in the order of a hash map.
#[workflow]
#[derive(Default)]
struct Hashed {}

#[workflow]
impl Hashed {
    #[run]
    async fn run(&self, count: u32) -> WorkflowResult<u32> {
        #[allow_nondeterminism("it is what the test is about")]
        let all: std::collections::HashMap<u32, u32> = (0..count).map(|n| (n, n)).collect();
        let mut sum = 0;
        for (_, amount) in all {
            sum += charge(amount).await?;
        }
        Ok(sum)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_that_differ_between_runs_are_found() {
    let env = WorkflowEnvironment::start().await.unwrap();
    env.mock(charge, |amount: u32| async move { Ok(amount) });
    let error = execute(&env, Hashed::run(30)).await.unwrap_err().to_string();
    assert!(error.contains("the replay check found: event "), "{error}");
    assert!(error.contains("input 1 of ScheduleActivity(charge, id "), "{error}");
    assert!(error.contains("at runtime/src/testing/tests/differing.rs:") && error.contains("`HashMap`"), "{error}");
}

/// Calls activities in the order of a hash map, and then waits forever.
#[workflow]
#[derive(Default)]
struct HashedThenWaits {}

#[workflow]
impl HashedThenWaits {
    #[run]
    async fn run(&self, count: u32) -> WorkflowResult<u32> {
        #[allow_nondeterminism("it is what the test is about")]
        let all: std::collections::HashMap<u32, u32> = (0..count).map(|n| (n, n)).collect();
        for (_, amount) in all {
            charge(amount).await?;
        }
        wait_condition(|| false).await?;
        Ok(0)
    }
}

/// The run is replayed while it is recorded, so it need not end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inputs_that_differ_are_found_while_the_run_is_open() {
    let env = WorkflowEnvironment::start().await.unwrap();
    env.mock(charge, |amount: u32| async move { Ok(amount) });
    let error = execute(&env, HashedThenWaits::run(30)).await.unwrap_err().to_string();
    assert!(error.contains("input 1 of ScheduleActivity(charge, id "), "{error}");
}

/// Returns a value that depends on the order of a hash map.
#[workflow]
#[derive(Default)]
struct ReturnsOrder {}

#[workflow]
impl ReturnsOrder {
    #[run]
    async fn run(&self, count: u32) -> WorkflowResult<u32> {
        #[allow_nondeterminism("it is what the test is about")]
        let all: std::collections::HashSet<u32> = (0..count).collect();
        Ok(all.into_iter().fold(0, |order: u32, n| order.wrapping_mul(31).wrapping_add(n)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_differs_between_runs_is_found() {
    let env = WorkflowEnvironment::start().await.unwrap();
    let error = execute(&env, ReturnsOrder::run(30)).await.unwrap_err().to_string();
    assert!(error.contains("the replay check found: event 5: the workflow's result"), "{error}");
    assert!(error.contains("`HashMap`"), "{error}");
}

#[activity]
async fn count(all: std::collections::HashMap<u32, u32>) -> u32 {
    all.len() as u32
}

/// Passes a hash map to an activity; the map may be encoded in any order.
#[workflow]
#[derive(Default)]
struct PassesMap {}

#[workflow]
impl PassesMap {
    #[run]
    async fn run(&self, to: u32) -> WorkflowResult<u32> {
        #[allow_nondeterminism("its order reaches nobody")]
        let all: std::collections::HashMap<u32, u32> = (0..to).map(|n| (n, n)).collect();
        Ok(count(all).await?)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_that_is_encoded_in_another_order_is_the_same_input() {
    let env = WorkflowEnvironment::start().await.unwrap();
    env.mock(count, |all: std::collections::HashMap<u32, u32>| async move { Ok(all.len() as u32) });
    assert_eq!(execute(&env, PassesMap::run(30)).await.unwrap(), 30);
}
