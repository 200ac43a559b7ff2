//! Short activities run in the workflow's own worker: each takes microseconds and one event, and the workflow task waits for it.

use std::collections::HashMap;

use everloop::prelude::*;
use everloop_examples::{Error, until_ctrl_c};

/// The prices of a shop, in the memory of each worker.
pub struct PriceList(HashMap<&'static str, u64>);

#[activities]
impl PriceList {
    /// Looks in memory, so an activity task for each item would cost more than the lookup.
    #[activity(start_to_close_timeout = "1s")]
    async fn price(&self, item: String) -> ActivityResult<u64> {
        let price = self.0.get(item.as_str()).copied();
        price.ok_or_else(|| ActivityError::non_retryable(format!("there is no {item}")))
    }
}

/// Takes its time and must not be repeated lightly, so it is an activity of the task queue.
#[activity(start_to_close_timeout = "10s")]
async fn charge(total: u64) -> ActivityResult<String> {
    Ok(format!("receipt over {total}"))
}

#[workflow]
#[derive(Default)]
pub struct Basket {}

#[workflow]
impl Basket {
    #[run]
    async fn run(&self, items: Vec<String>) -> WorkflowResult<String> {
        let prices = join_all(items.into_iter().map(|item| PriceList::price(item).local())).await;
        let total = prices.into_iter().sum::<Result<u64, _>>()?;
        Ok(charge(total).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::from_env_or("memory:?clock=skipping").await?;
    let prices = PriceList(HashMap::from([("lamp", 30), ("chair", 45), ("table", 120)]));
    let worker = Worker::builder(&client, "baskets").workflow::<Basket>().activities(prices).activity(charge);
    worker.build()?.run_until(until_ctrl_c(story(client))).await
}

async fn story(client: Client) -> Result<(), Error> {
    let items = ["lamp", "chair", "table", "lamp"].map(str::to_owned).to_vec();
    let handle = client.start(Basket::run(items)).task_queue("baskets").await?;
    println!("{}", handle.result().await?);
    let history = handle.history().await?;
    let count = |name| history.event_names().filter(|event| event == name).count();
    println!("{} results in {} workflow tasks", count("MarkerRecorded"), count("WorkflowTaskCompleted"));
    Ok(())
}
