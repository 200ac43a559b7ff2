// An `#[init]` that does not return the workflow.
use everloop::prelude::*;

#[workflow]
struct Counter {}

#[workflow]
impl Counter {
    #[init]
    fn new(&self) -> WorkflowResult<Self> {
        Ok(Self {})
    }
    #[run]
    async fn run(&self) {}
}

#[workflow]
struct Other {}

#[workflow]
impl Other {
    #[init]
    fn new() {}
    #[run]
    async fn run(&self) {}
}

fn main() {}
