// The next run gets the arguments of `run`.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
pub struct Subscription {}

#[workflow]
impl Subscription {
    #[run]
    async fn run(&self, bills_sent: u32) -> WorkflowResult<u32> {
        return continue_as_new(Self::run(format!("{bills_sent} bills"))).await;
    }
}

fn main() {}
