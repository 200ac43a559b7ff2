// Blocks that implement a trait.
use everloop::prelude::*;

trait Runs {
    async fn run(&self);
    fn pay(&self);
}

#[workflow]
#[derive(Default)]
struct Counter;

#[workflow]
impl Runs for Counter {
    #[run]
    async fn run(&self) {}
    fn pay(&self) {}
}

struct Payments;

#[activities]
impl Runs for Payments {
    async fn run(&self) {}
    #[activity]
    fn pay(&self) {}
}

fn main() {}
