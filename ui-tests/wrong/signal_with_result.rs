// A signal that returns something, under an alias.
use everloop::prelude::*;

type Count = u32;

#[workflow]
#[derive(Default)]
pub struct Counter {}

#[workflow]
impl Counter {
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        Ok(())
    }
    #[signal]
    fn tick(&self) -> Count {
        1
    }
}

fn main() {}
