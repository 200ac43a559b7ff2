// `Box<dyn Error>` as the error of an activity and of a workflow.
use everloop::prelude::*;
use std::error::Error;

#[activity]
pub async fn repair(item: String) -> Result<u32, Box<dyn Error + Send + Sync>> {
    Ok(item.parse()?)
}

#[workflow]
#[derive(Default)]
pub struct Repair {}

#[workflow]
impl Repair {
    #[run]
    async fn run(&self, item: String) -> Result<u32, Box<dyn Error>> {
        Ok(item.parse()?)
    }
}

fn main() {}
