//! The workflows whose histories are recorded, and their drivers.
//!
//! Together they use every operation of the executor. Random values of a run appear in its commands, so a replay with other values
//! would be found.

mod activities;
mod cancellation;
mod coroutines;
mod endings;
mod failures;
mod local_activities;
mod messages;
mod one_click_buy;
mod patches;
mod reset;
mod storm;
mod timers;

use everloop::prelude::*;
use everloop::worker::WorkerBuilder;

/// A time that passes.
const SHORT: Duration = Duration::from_millis(30);

/// A time that never passes.
const LONG: Duration = Duration::from_secs(3600);

/// Returns ten times its argument.
#[activity(start_to_close_timeout = "10s")]
async fn work(n: u32) -> u32 {
    n * 10
}

/// The same on a thread of its own.
#[activity(start_to_close_timeout = "10s")]
fn work_alone(n: u32) -> u32 {
    n * 10
}

/// Fails that many times before it succeeds.
#[activity(start_to_close_timeout = "10s", retry_policy(initial_interval = "10ms", backoff_coefficient = 1.0))]
async fn fail_at_first(ctx: &ActivityContext, failures: u32) -> ActivityResult<u32> {
    match ctx.info().attempt {
        attempt if attempt <= failures => Err(ActivityError::new(format!("attempt {attempt} fails"))),
        attempt => Ok(attempt),
    }
}

/// Fails permanently.
#[activity(start_to_close_timeout = "10s")]
async fn decline(reason: String) -> ActivityResult<u32> {
    Err(ActivityError::non_retryable("declined").type_name("Declined").details(reason))
}

/// Runs until it is cancelled.
#[activity(start_to_close_timeout = "60s", heartbeat_timeout = "3s", retry_policy(maximum_attempts = 1))]
async fn wait_for_the_end(ctx: &ActivityContext) -> ActivityResult<u32> {
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            _ = ctx.cancelled() => return Err(ActivityError::cancelled()),
            _ = beat.tick() => ctx.heartbeat("waiting")?,
        }
    }
}

/// Exceeds its time limit without a result: the server's clock decides.
#[activity(start_to_close_timeout = "200ms", retry_policy(maximum_attempts = 1))]
async fn take_too_long(ctx: &ActivityContext) -> ActivityResult<u32> {
    ctx.worker_shutdown().await;
    Err(ActivityError::new("the worker stops"))
}

/// Every activity of the scenarios.
pub(super) fn register_activities(worker: WorkerBuilder) -> WorkerBuilder {
    worker
        .activity(work)
        .activity(work_alone)
        .activity(fail_at_first)
        .activity(decline)
        .activity(wait_for_the_end)
        .activity(local_activities::pass_gate)
        .activity(take_too_long)
        .activity(one_click_buy::do_purchase)
}
