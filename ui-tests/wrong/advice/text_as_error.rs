// Text as an error.
use everloop::prelude::*;

#[activity]
pub async fn repair(item: String) -> Result<u32, String> {
    Err(item)
}

#[workflow]
#[derive(Default)]
pub struct Repair {}

#[workflow]
impl Repair {
    #[run]
    async fn run(&self) -> Result<u32, &'static str> {
        Err("broken")
    }
}

fn main() {}
