// `#[workflow]` is missing on the impl block.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
pub struct OneClickBuy {}

pub fn worker(client: &Client) {
    let _ = Worker::builder(client, "purchases").workflow::<OneClickBuy>();
}

fn main() {}
