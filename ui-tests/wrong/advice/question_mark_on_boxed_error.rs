// `?` on an error that is no `std::error::Error`.
use everloop::prelude::*;
use std::error::Error;

fn parse(item: String) -> Result<u32, Box<dyn Error + Send + Sync>> {
    Ok(item.parse()?)
}

#[activity]
pub async fn repair(item: String) -> ActivityResult<u32> {
    Ok(parse(item)?)
}

fn main() {}
