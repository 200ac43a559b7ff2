// An activity without a body is registered.
use everloop::prelude::*;

#[activity]
pub fn charge(amount: u32) -> u32;

pub fn worker(client: &Client) {
    let _ = Worker::builder(client, "purchases").activity(charge);
}

fn main() {}
