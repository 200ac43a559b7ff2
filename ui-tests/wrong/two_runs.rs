// Two methods with a role that only one may have.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Counter {}

#[workflow]
impl Counter {
    #[init]
    fn new() -> Self {
        Self {}
    }
    #[init]
    fn again() -> Self {
        Self {}
    }
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        Ok(())
    }
    #[run]
    async fn run_fast(&self) -> WorkflowResult<()> {
        Ok(())
    }
}

fn main() {}
