// `async` on methods that cannot await, and missing on methods that are awaited.
use everloop::prelude::*;

#[workflow]
struct Counter {}

#[workflow]
impl Counter {
    #[init]
    async fn new() -> Self {
        Self {}
    }
    #[run]
    fn run(&self) -> WorkflowResult<()> {
        Ok(())
    }
    #[query]
    async fn count(&self) -> u32 {
        1
    }
}

fn main() {}
