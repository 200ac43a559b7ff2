// An activity takes a type without the two derives.
use everloop::prelude::*;

#[derive(Clone)]
pub struct Purchase {
    pub item_id: String,
}

#[activity]
pub async fn do_purchase(purchase: Purchase) -> ActivityResult<()> {
    drop(purchase);
    Ok(())
}

fn main() {}
