// Attributes on items that cannot have them.
use everloop::prelude::*;

#[workflow]
enum Light {
    Red,
    Green,
}

#[workflow]
async fn run() {}

#[activity]
struct Charge;

#[activities]
struct Payments;

struct Empty;

#[activities]
impl Empty {
    fn charge(&self) {}
}

#[workflow]
impl [u8; 4] {
    #[run]
    async fn run(&self) {}
}

fn main() {}
