// A workflow that is an enum.
// In plain Rust: 0 errors.
use everloop::prelude::*;

#[activity(start_to_close_timeout = "1m")]
pub async fn pay(cents: u32) -> ActivityResult<u32> {
    Ok(cents)
}

#[workflow]
#[derive(Default)]
pub enum Order {
    #[default]
    New,
}

#[workflow]
impl Order {
    #[run]
    async fn run(&self, cents: u32) -> WorkflowResult<u32> {
        Ok(pay(cents).await?)
    }
    #[signal]
    fn add(&self, _cents: u32) {}
    #[query]
    fn total(&self) -> u32 {
        0
    }
    #[update(validator = check)]
    async fn change(&self, cents: u32) -> WorkflowResult<bool> {
        Ok(cents > 5)
    }
    fn check(&self, cents: &u32) -> WorkflowResult<()> {
        if *cents == 0 { Err(WorkflowError::new("nothing to pay")) } else { Ok(()) }
    }
}

// A program that uses the item with the mistake.
include!("../../uses/order.rs");
