// It is awaited as a statement: its output could be anything.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
pub struct Subscription {}

#[workflow]
impl Subscription {
    #[run]
    async fn run(&self, bills_sent: u32) -> WorkflowResult<u32> {
        if bills_sent < 12 {
            continue_as_new(Self::run(bills_sent + 1)).await;
        }
        Ok(bills_sent)
    }
}

fn main() {}
