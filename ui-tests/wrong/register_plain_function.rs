// A function without `#[activity]`.
use everloop::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
}

pub async fn do_purchase(purchase: Purchase) -> ActivityResult<()> {
    drop(purchase);
    Ok(())
}

pub fn worker(client: &Client) {
    let _ = Worker::builder(client, "purchases").activity(do_purchase);
}

fn main() {}
