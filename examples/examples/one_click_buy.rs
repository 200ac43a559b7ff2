//! Three purchases with one click: one is changed and completed, one is cancelled in time, one is rejected by the shop.
//!
//! ```text
//! cargo run --example one_click_buy                                 in this process, waiting skipped
//! TEMPORAL_ADDRESS=HOST:PORT cargo run --example one_click_buy      on a cluster, in real time
//! ```

use std::time::Instant;

use everloop::client::ResultError;
use everloop::prelude::*;
use everloop_examples::{Error, shop, until_ctrl_c};

const QUEUE: &str = "purchases";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
    pub user_id: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum PurchaseStatus {
    #[default]
    Pending,
    Confirmed,
    Cancelled,
    Completed,
}

/// Charges the customer. Client errors are permanent, others are retried.
#[activity(start_to_close_timeout = "1m")]
pub async fn do_purchase(purchase: Purchase) -> ActivityResult<()> {
    let response = reqwest::Client::new().post(shop::url()).json(&purchase).send().await?;
    if response.status().is_client_error() {
        return Err(ActivityError::non_retryable(format!("status {}", response.status().as_u16())));
    }
    response.error_for_status()?;
    Ok(())
}

#[workflow]
#[derive(Default)]
pub struct OneClickBuy {
    status: State<PurchaseStatus>,
    purchase: State<Option<Purchase>>,
}

#[workflow]
impl OneClickBuy {
    #[run]
    async fn run(&self, purchase: Purchase) -> WorkflowResult<PurchaseStatus> {
        // The handler of a signal that came with the start has run before.
        self.purchase.update(|p| {
            p.get_or_insert(purchase);
        });

        // Ten seconds to change your mind: a durable timer. A cancellation ends it early.
        if sleep(Duration::from_secs(10)).await.is_err() {
            self.status.set(PurchaseStatus::Cancelled);
            return Ok(self.status.get());
        }
        self.status.set(PurchaseStatus::Confirmed);
        do_purchase(self.purchase.get().unwrap()).await?;
        self.status.set(PurchaseStatus::Completed);
        Ok(self.status.get())
    }

    #[signal]
    fn update_purchase(&self, purchase: Purchase) {
        self.purchase.set(Some(purchase));
    }

    #[query]
    fn current_status(&self) -> PurchaseStatus {
        self.status.get()
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    shop::open()?;
    let client = Client::from_env_or("memory:?clock=skipping").await?;
    let worker = Worker::builder(&client, QUEUE).workflow::<OneClickBuy>().activity(do_purchase).build()?;
    worker.run_until(until_ctrl_c(story(client))).await
}

/// The clicks of a customer.
async fn story(client: Client) -> Result<(), Error> {
    let began = Instant::now();
    let buy = async |id: &str, item: &str| {
        println!("{id}: ann buys a {item}");
        client.start(OneClickBuy::run(order(item))).id(id).task_queue(QUEUE).await
    };

    let first = buy("buy-1", "red lamp").await?;
    println!("buy-1: is {:?}, so it is changed to a green lamp", first.current_status().await?);
    first.update_purchase(order("green lamp")).await?;
    let completed = first.result().await?;
    println!("buy-1: is {completed:?}, and this is its history");
    println!("{}", first.history().await?.timeline());

    let second = buy("buy-2", "piano").await?;
    println!("buy-2: is {:?}, so it is cancelled", second.current_status().await?);
    second.cancel().await?;
    println!("buy-2: is {:?}", second.current_status().await?);
    let cancelled = second.result().await?;

    let third = buy("buy-3", shop::FORBIDDEN_ITEM).await?;
    let failure = match third.result().await {
        Err(ResultError::Failed(failure)) => failure,
        other => return Err(format!("nobody can buy the moon: {other:?}").into()),
    };
    println!("buy-3: failed: {failure}");

    // The skipped time: the difference between the engine's clock and the process's.
    let times = first.describe().await?.start_time().zip(third.describe().await?.close_time());
    let waited = times.and_then(|(start, end)| end.duration_since(start).ok()).unwrap_or_default();
    let skipped = waited.saturating_sub(began.elapsed()).as_secs_f64().round();
    println!(
        "\nbuy-1 {completed:?}, buy-2 {cancelled:?}, buy-3 Failed ({}); skipped {skipped} s",
        failure.root_message()
    );
    Ok(())
}

fn order(item: &str) -> Purchase {
    Purchase { item_id: item.into(), user_id: "ann".into() }
}
