// A local activity runs in the workflow's own worker: it has no task queue, and needs no sign of life.
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
        let one = exchange_rate("EUR".into()).local().task_queue("rates").await?;
        let two = exchange_rate("USD".into()).local().heartbeat_timeout(Duration::from_secs(5)).await?;
        let three = exchange_rate("JPY".into()).local().schedule_to_start_timeout(Duration::from_secs(5)).await?;
        Ok(one + two + three)
    }
}

fn main() {}
