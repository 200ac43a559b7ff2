// Reference parameters of activities that are not one shared context.
use everloop::prelude::*;

#[activity]
async fn twice(ctx: &ActivityContext, name: &str) {
    let _ = (ctx, name);
}

#[activity]
async fn two(first: &ActivityContext, second: &ActivityContext) {
    let _ = (first, second);
}

#[activity]
async fn mutable(ctx: &mut ActivityContext) {
    let _ = ctx;
}

#[activity]
async fn elsewhere(ctx: &ActivityContext, cents: u64);

fn main() {}
