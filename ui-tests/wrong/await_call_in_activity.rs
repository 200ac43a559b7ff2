// An activity calls another as if it were a workflow.
use everloop::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
}

#[activity]
pub async fn do_purchase(purchase: Purchase) -> ActivityResult<()> {
    drop(purchase);
    Ok(())
}

#[activity]
pub async fn buy_twice(purchase: Purchase) -> ActivityResult<()> {
    do_purchase(purchase.clone()).await?;
    do_purchase(purchase).await?;
    Ok(())
}

fn main() {}
