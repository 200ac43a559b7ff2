// Branches with calls of different types.
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
pub async fn do_refund(purchase: Purchase) -> ActivityResult<()> {
    drop(purchase);
    Ok(())
}

pub async fn wrong(cheap: bool, purchase: Purchase) {
    let _ = if cheap { do_purchase(purchase) } else { do_refund(purchase) };
}

fn main() {}
