// An arrow without its type.
// In plain Rust: 1 error.
use everloop::prelude::*;

#[activity(start_to_close_timeout = "1m")]
pub async fn pay(cents: u32) -> ActivityResult<u32> {
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
    fn total(&self) -> {
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
