// Error types that cannot fail the activity or workflow that returns them.
use everloop::prelude::*;

pub struct Broken;
type Outcome<T> = Result<T, Broken>;

#[activity]
pub async fn repair(item: String) -> Outcome<()> {
    drop(item);
    Err(Broken)
}

#[workflow]
#[derive(Default)]
pub struct Repair {}

#[workflow]
impl Repair {
    #[run]
    async fn run(&self) -> Outcome<u32> {
        Err(Broken)
    }
    #[update]
    fn change(&self) -> Result<u32, Broken> {
        Err(Broken)
    }
}

fn main() {}
