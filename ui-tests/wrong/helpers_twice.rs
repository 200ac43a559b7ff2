// Helper attributes twice, two of them, and in `cfg_attr`.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Counter {}

#[workflow]
impl Counter {
    #[run]
    async fn run(&self) {}
    #[signal]
    #[signal]
    fn add(&self) {}
    #[query]
    #[update]
    fn count(&self) -> u32 {
        1
    }
    #[cfg_attr(unix, signal)]
    fn stop(&self) {}
}

struct Payments;

#[activities]
impl Payments {
    #[activity]
    #[activity]
    fn charge(&self) {}
    #[cfg_attr(unix, activity)]
    fn refund(&self) {}
}

fn main() {}
