// A local call is dropped, so it would not run.
#![deny(unused_must_use)]
use everloop::prelude::*;

#[activity]
async fn exchange_rate(currency: String) -> ActivityResult<u64> {
    Ok(currency.len() as u64)
}

#[workflow]
#[derive(Default)]
struct Prices {}

#[workflow]
impl Prices {
    #[run]
    async fn run(&self) -> WorkflowResult<u64> {
        exchange_rate("EUR".into()).local();
        exchange_rate("EUR".into()).local().start();
        Ok(1)
    }
}

fn main() {}
