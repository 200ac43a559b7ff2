// Two activities of a block under one name on the wire.
use everloop::prelude::*;

struct Payments;

#[activities]
impl Payments {
    #[activity]
    fn charge(&self) {}
    #[activity(name = "charge")]
    fn charge_again(&self) {}
}

fn main() {}
