// Options that this attribute does not have, and options that no attribute has.
use everloop::prelude::*;

#[activity(timeout = "1m", retry_policy(attempts = 5))]
async fn charge() {}

#[workflow(name = "counter")]
#[derive(Default)]
struct Counter {}

#[workflow(nmae = "counter")]
impl Counter {
    #[run(name = "run")]
    async fn run(&self) {}
    #[signal(validator = check)]
    fn add(&self) {}
    #[query(timeout = "1s")]
    fn count(&self) -> u32 {
        1
    }
}

#[activities(name = "payments")]
impl Counter {
    #[activity]
    fn pay(&self) {}
}

fn main() {}
