// `async` where nothing can be awaited, and missing where everything is.
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
