// An activity with two contexts.
// In plain Rust: 0 errors.
use everloop::prelude::*;

#[activity(start_to_close_timeout = "1m")]
pub async fn pay(one: &ActivityContext, two: &ActivityContext, cents: u32) -> ActivityResult<u32> {
    one.heartbeat(&1);
    two.heartbeat(&2);
    Ok(cents)
}

#[workflow]
#[derive(Default)]
pub struct Order {
    total: State<u32>,
}

#[workflow]
impl Order {
    #[run]
    async fn run(&self, cents: u32) -> WorkflowResult<u32> {
        self.total.set(cents);
        Ok(pay(cents).await?)
    }
    #[signal]
    fn add(&self, cents: u32) {
        self.total.add(cents);
    }
    #[query]
    fn total(&self) -> u32 {
        self.total.get()
    }
    #[update(validator = check)]
    async fn change(&self, cents: u32) -> WorkflowResult<bool> {
        Ok(self.total.replace(cents) > cents)
    }
    fn check(&self, cents: &u32) -> WorkflowResult<()> {
        if *cents == 0 { Err(WorkflowError::new("nothing to pay")) } else { Ok(()) }
    }
}

// A program that uses the item with the mistake.
include!("../../uses/order.rs");
