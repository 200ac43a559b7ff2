// A mock returns another type.
use everloop::prelude::*;
use everloop::testing::WorkflowEnvironment;

#[derive(Clone, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
}

#[activity]
pub async fn do_purchase(purchase: Purchase) -> ActivityResult<()> {
    drop(purchase);
    Ok(())
}

pub async fn wrong(env: &WorkflowEnvironment) {
    env.mock(do_purchase, |_: Purchase| async { Ok(5) });
}

fn main() {}
