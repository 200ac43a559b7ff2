// A workflow operation in an activity.
use everloop::prelude::*;

#[activity]
pub async fn rest(minutes: u64) -> ActivityResult<()> {
    sleep(Duration::from_secs(60 * minutes)).await.unwrap();
    Ok(())
}

fn main() {}
