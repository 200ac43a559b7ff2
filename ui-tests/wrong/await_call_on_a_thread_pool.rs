// A call is awaited in a task that may move between threads.
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

pub fn wrong(purchase: Purchase) {
    tokio::spawn(async move {
        let _ = do_purchase(purchase).await;
    });
}

fn main() {}
