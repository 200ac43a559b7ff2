// A coroutine that borrows the workflow, which it may outlive.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
pub struct Counter {
    ticks: State<u32>,
}

#[workflow]
impl Counter {
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        spawn(async {
            self.ticks.set(1);
        });
        Ok(())
    }
}

fn main() {}
