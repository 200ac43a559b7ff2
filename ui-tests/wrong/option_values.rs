// Options with values they cannot have.
use everloop::prelude::*;

#[activity(
    name = charge,
    start_to_close_timeout = 60,
    schedule_to_close_timeout = "1 fortnight",
    heartbeat_timeout = "0s",
    cancellation_type = ask,
    retry_policy(
        backoff_coefficient = 0.5,
        maximum_attempts = -1,
        initial_interval = "soon",
        non_retryable_error_types = "Declined",
    ),
)]
async fn charge() {}

#[activity(name = "", name = "pay")]
async fn pay() {}

#[activity(start_to_close_timeout, retry_policy = 5)]
async fn refund() {}

#[activity(name = "__temporal_x")]
async fn internal() {}

#[workflow]
#[derive(Default)]
struct Counter {}

#[workflow]
impl Counter {
    #[run]
    async fn run(&self) {}
    #[signal(unfinished_policy = "abandon")]
    fn add(&self) {}
    #[signal = "stop"]
    fn stop(&self) {}
}

fn main() {}
