// An activity of the user's own that is not `Send`.
use everloop::prelude::*;

#[activity]
pub async fn rest(minutes: u64) -> ActivityResult<()> {
    let shared = std::rc::Rc::new(minutes);
    std::future::ready(()).await;
    drop(shared);
    Ok(())
}

fn main() {}
