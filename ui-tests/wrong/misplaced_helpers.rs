// Helper attributes outside of a `#[workflow]` or `#[activities]` block.
use everloop::prelude::*;

struct Counter;

impl Counter {
    #[run]
    async fn run(&self) {}
    #[signal]
    fn add(&self) {}
    #[query]
    fn count(&self) -> u32 {
        1
    }
    #[activity]
    fn charge(&self) {}
    #[allow_nondeterminism("nobody asked")]
    fn helper(&self) {}
}

#[update]
fn change() {}

fn main() {}
