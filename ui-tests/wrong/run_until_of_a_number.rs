// A worker runs until a future is done that can neither fail nor is `()`.
use everloop::prelude::*;

async fn example(worker: Worker) {
    worker.run_until(async { 7 }).await.unwrap();
}

fn main() {}
