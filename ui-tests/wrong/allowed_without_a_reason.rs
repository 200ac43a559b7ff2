// A permission without a reason.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Report {}

#[workflow]
impl Report {
    #[run]
    async fn run(&self) {
        #[allow_nondeterminism]
        let started = std::time::Instant::now();
        #[allow_nondeterminism("")]
        let other = std::time::Instant::now();
        println!("{:?}", started - other);
    }
}

fn main() {}
