// A block without its `#[run]`.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Counter {}

#[workflow]
impl Counter {
    async fn run(&self) -> WorkflowResult<()> {
        Ok(())
    }
    #[signal]
    fn add(&self) {}
}

fn main() {}
