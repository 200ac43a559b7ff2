// A workflow whose `#[run]` may not be there.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Report {}

#[workflow]
impl Report {
    #[cfg(unix)]
    #[run]
    async fn run(&self) {}
    #[signal]
    fn add(&self, #[cfg(unix)] _n: u32) {}
}

fn main() {}
