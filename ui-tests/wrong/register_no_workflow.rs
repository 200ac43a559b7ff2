// A type that is no workflow.
use everloop::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
}

pub fn worker(client: &Client) {
    let _ = Worker::builder(client, "purchases").workflow::<Purchase>();
}

fn main() {}
