// A call is registered instead of its function.
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

pub fn worker(client: &Client, purchase: Purchase) {
    let _ = Worker::builder(client, "purchases").activity(do_purchase(purchase));
}

fn main() {}
