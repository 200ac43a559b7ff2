// The argument of `execute` is not a call.
use everloop::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
}

pub async fn wrong(client: &Client) {
    let _ = client.execute(Purchase { item_id: String::new() }).await;
}

fn main() {}
