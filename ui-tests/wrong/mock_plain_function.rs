// A function that is no activity is mocked.
use everloop::prelude::*;
use everloop::testing::WorkflowEnvironment;

#[derive(Clone, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
}

pub async fn do_purchase(purchase: Purchase) -> ActivityResult<()> {
    drop(purchase);
    Ok(())
}

pub async fn wrong(env: &WorkflowEnvironment) {
    env.mock(do_purchase, |_: Purchase| async { Ok(()) });
}

fn main() {}
