// `?` on a text.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
pub struct Repair {}

#[workflow]
impl Repair {
    #[run]
    async fn run(&self, item: Option<u32>) -> WorkflowResult<u32> {
        let item = item.ok_or("no item")?;
        Ok(item)
    }
}

fn main() {}
