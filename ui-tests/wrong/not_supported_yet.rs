// Features of later versions, which the messages name.
use everloop::prelude::*;

#[activity(process)]
fn render() {}

#[workflow]
#[derive(Default)]
struct Counter {}

#[workflow(versioning = pinned)]
impl Counter {
    #[run]
    async fn run(&self) {}
}

#[workflow]
trait Elsewhere {
    async fn run(&self, n: u32) -> u32;
}

fn main() {}
