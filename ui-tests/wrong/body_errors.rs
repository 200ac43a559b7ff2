// Mistakes inside bodies, reported at their own places.
use everloop::prelude::*;

#[activity]
pub async fn repair(item: String) -> ActivityResult<u32> {
    item.parse::<u8>()
}

#[workflow]
#[derive(Default)]
pub struct Repair {
    broken: State<bool>,
}

#[workflow]
impl Repair {
    #[run]
    async fn run(&self, item: String) -> WorkflowResult<u32> {
        self.broken = true;
        let done: bool = repair(item).await?;
        Ok(done)
    }
    #[signal]
    fn stop(&self) {
        self.broken.set("no");
    }
}

fn main() {}
