// A local call is a call of an activity, by a workflow.
use everloop::testing::ActivityEnvironment;
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
        Ok(exchange_rate("USD".into()).local().local().await?)
    }
}

async fn test(client: &Client) {
    let env = ActivityEnvironment::new();
    env.run(exchange_rate("EUR".into()).local()).await.unwrap();
    client.start(Prices::run().local()).await.unwrap();
}

fn main() {}
