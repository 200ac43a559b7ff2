// Two signals under one name on the wire; a query of that name is fine.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Counter {}

#[workflow]
impl Counter {
    #[run]
    async fn run(&self) {}
    #[signal]
    fn pause(&self) {}
    #[signal(name = "pause")]
    fn stop(&self) {}
    #[query(name = "pause")]
    fn paused(&self) -> bool {
        true
    }
}

fn main() {}
