// Heartbeats that nobody can send, or that are none.
use everloop::prelude::*;

#[activity(heartbeat = auto, heartbeat_timeout = "10s")]
fn blocks() {}

#[activity(heartbeat = auto, heartbeat_timeout = "10s")]
fn elsewhere();

#[activity(heartbeat = always, heartbeat_timeout = "10s")]
async fn always(ctx: &ActivityContext) {
    let _ = ctx;
}

#[activity(heartbeat(auto))]
async fn listed() {}

struct Payments;

#[activities]
impl Payments {
    #[activity(heartbeat = auto)]
    fn pay(&self) {}
}

fn main() {}
