// The activity says that it is completed later, but to nobody, and returns a result.
#![deny(unused_must_use)]
use everloop::prelude::*;

#[activity]
async fn approve(ctx: &ActivityContext, expense: u64) -> ActivityResult<bool> {
    ctx.complete_later();
    Ok(expense < 10)
}

fn main() {}
