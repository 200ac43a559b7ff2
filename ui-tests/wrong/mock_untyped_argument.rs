// A mock does not write its argument's type, and uses it.
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
    env.mock(do_purchase, |purchase| async move { drop(purchase.item_id); Ok(()) });
}

fn main() {}
