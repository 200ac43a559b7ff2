// A run continues as a workflow, not as an activity.
use everloop::prelude::*;

#[activity]
pub async fn charge(cents: u32) -> ActivityResult<u32> {
    Ok(cents)
}

#[workflow]
#[derive(Default)]
pub struct Subscription {}

#[workflow]
impl Subscription {
    #[run]
    async fn run(&self, cents: u32) -> WorkflowResult<u32> {
        return continue_as_new(charge(cents)).await;
    }
}

fn main() {}
