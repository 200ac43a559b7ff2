// A worker runs until a future completes whose output is neither `()` nor a result.
use everloop::prelude::*;

async fn example(worker: Worker) {
    worker.run_until(async { 7 }).await.unwrap();
}

fn main() {}
