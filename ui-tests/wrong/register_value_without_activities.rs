// A value that has no activities.
use everloop::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
}

pub fn worker(client: &Client) {
    let _ = Worker::builder(client, "purchases").activities(Purchase { item_id: String::new() });
}

fn main() {}
