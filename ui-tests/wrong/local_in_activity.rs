// An activity calls another as if it were a workflow.
use everloop::prelude::*;

#[activity]
async fn exchange_rate(currency: String) -> ActivityResult<u64> {
    Ok(currency.len() as u64)
}

#[activity]
async fn all_rates() -> ActivityResult<u64> {
    Ok(exchange_rate("EUR".into()).local().await?)
}

fn main() {}
