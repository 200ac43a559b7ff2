// A reference parameter of an activity that is not its context.
use everloop::prelude::*;

#[activity]
pub async fn greet(name: &str, times: u32) -> ActivityResult<()> {
    let _ = (name, times);
    Ok(())
}

fn main() {}
