// It is neither awaited nor returned.
#![deny(unused_must_use)]
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
pub struct Subscription {}

#[workflow]
impl Subscription {
    #[run]
    async fn run(&self, bills_sent: u32) -> WorkflowResult<u32> {
        continue_as_new::<_, ()>(Self::run(bills_sent + 1));
        Ok(bills_sent)
    }
}

fn main() {}
