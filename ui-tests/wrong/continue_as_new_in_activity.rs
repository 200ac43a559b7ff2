// An activity cannot continue a workflow.
use everloop::prelude::*;

#[activity]
pub async fn renew(bills_sent: u32) -> ActivityResult<u32> {
    continue_as_new(Subscription::run(bills_sent + 1)).await
}

#[workflow]
#[derive(Default)]
pub struct Subscription {}

#[workflow]
impl Subscription {
    #[run]
    async fn run(&self, bills_sent: u32) -> WorkflowResult<u32> {
        Ok(bills_sent)
    }
}

fn main() {}
