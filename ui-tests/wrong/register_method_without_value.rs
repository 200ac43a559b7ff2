// A method is registered without its value.
use everloop::prelude::*;

pub struct Payments;

#[activities]
impl Payments {
    #[activity]
    async fn charge(&self, amount: u32) -> ActivityResult<u32> {
        Ok(amount)
    }
}

pub fn worker(client: &Client) {
    let _ = Worker::builder(client, "purchases").activity(Payments::charge);
}

fn main() {}
