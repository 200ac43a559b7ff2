// Inputs that borrow, visibly.
use everloop::prelude::*;
use std::borrow::Cow;

#[activity]
async fn greet(times: u32, name: Option<&'static str>) {
    let _ = (times, name);
}

#[activity]
async fn shout(text: Cow<'static, str>) {
    let _ = text;
}

#[workflow]
#[derive(Default)]
struct Greeting {}

#[workflow]
impl Greeting {
    #[run]
    async fn run(&self, name: &str) -> WorkflowResult<()> {
        let _ = name;
        Ok(())
    }
    #[signal]
    fn more(&self, names: &[String]) {
        let _ = names;
    }
}

fn main() {}
