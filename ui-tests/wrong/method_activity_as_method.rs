// An activity of a block is called as a method of its value.
use everloop::prelude::*;

pub struct Payments;

#[activities]
impl Payments {
    #[activity]
    async fn charge(&self, amount: u32) -> ActivityResult<u32> {
        Ok(amount)
    }
}

pub async fn wrong(payments: Payments) {
    let _ = payments.charge(5).await;
}

fn main() {}
