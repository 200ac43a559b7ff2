// Time limits and intervals that contradict each other, and heartbeats that the activity cannot send.
use everloop::prelude::*;

#[activity(start_to_close_timeout = "2m", schedule_to_close_timeout = "1m")]
async fn longer_than_all_attempts() {}

#[activity(schedule_to_start_timeout = "1h", schedule_to_close_timeout = "30m")]
async fn waits_longer_than_it_may_take() {}

#[activity(start_to_close_timeout = "10s", schedule_to_close_timeout = "20s", heartbeat_timeout = "30s")]
async fn heartbeats_after_its_end(ctx: &ActivityContext) {
    let _ = ctx.heartbeat(());
}

#[activity(retry_policy(initial_interval = "10s", maximum_interval = "1s"))]
async fn shrinking_intervals() {}

#[activity(retry_policy(maximum_interval = "250ms"))]
async fn shorter_than_the_first_interval() {}

#[activity(start_to_close_timeout = "1h", heartbeat_timeout = "10s")]
async fn cannot_heartbeat(amount: u32) -> u32 {
    amount
}

struct Payments;

#[activities]
impl Payments {
    #[activity(heartbeat_timeout = "10s")]
    fn cannot_heartbeat_either(&self) {}
}

// The activity of another program can send them.
#[activity(heartbeat_timeout = "10s")]
fn runs_elsewhere();

fn main() {}
