// Handlers that would hide methods of the handle.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Counter {}

#[workflow]
impl Counter {
    #[run]
    async fn run(&self) {}
    #[signal]
    fn cancel(&self) {}
    #[query]
    fn result(&self) -> u32 {
        1
    }
    // The name on the wire is free.
    #[update(name = "terminate")]
    fn request_termination(&self) {}
}

fn main() {}
