// A context that is taken by value.
use everloop::prelude::*;

#[activity]
pub async fn charge(ctx: ActivityContext, cents: u32) -> ActivityResult<u32> {
    ctx.heartbeat(&1);
    Ok(cents)
}

#[workflow]
#[derive(Default)]
pub struct Order {}

#[workflow]
impl Order {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        Ok(charge(5).await?)
    }
}

fn main() {}
