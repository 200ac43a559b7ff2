// Handlers with the names of methods of the handle.
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
    // A reserved name is allowed on the wire.
    #[update(name = "terminate")]
    fn request_termination(&self) {}
}

fn main() {}
