// It is returned without `.await`.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
pub struct Subscription {}

#[workflow]
impl Subscription {
    #[run]
    async fn run(&self, bills_sent: u32) -> WorkflowResult<u32> {
        return continue_as_new(Self::run(bills_sent + 1));
    }
}

fn main() {}
