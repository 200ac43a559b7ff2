// An input that borrows, invisibly.
use everloop::prelude::*;

#[derive(Serialize, Deserialize)]
pub struct Name<'a>(&'a str);

#[activity]
pub async fn greet(name: Name) -> ActivityResult<()> {
    drop(name);
    Ok(())
}

fn main() {}
