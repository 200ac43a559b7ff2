//! An order that has each of its items shipped by a child workflow, and tells the stock what was taken.
//!
//! Children have ids, histories and retries of their own. Their parent waits for them, signals them, and cancels them with
//! itself.

use everloop::prelude::*;
use everloop::workflow::{ParentClosePolicy, external_workflow};
use everloop_examples::Error;

/// Counts what orders take, for as long as the shop exists.
#[workflow]
#[derive(Default)]
pub struct Stock {
    taken: State<Vec<String>>,
}

#[workflow]
impl Stock {
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        cancelled().await;
        Ok(())
    }

    #[signal]
    fn take(&self, item: String) {
        self.taken.push(item);
    }

    #[query]
    fn taken(&self) -> Vec<String> {
        self.taken.get()
    }
}

#[workflow]
#[derive(Default)]
pub struct Shipment {
    is_express: State<bool>,
}

#[workflow]
impl Shipment {
    /// Returns how many days the item travels.
    #[run]
    async fn run(&self, item: String) -> WorkflowResult<u32> {
        external_workflow::<Stock>("stock").take(item).await?;
        sleep(Duration::from_millis(100)).await?;
        let days = if self.is_express.get() { 1 } else { 3 };
        Ok(days)
    }

    #[signal]
    fn make_express(&self) {
        self.is_express.set(true);
    }
}

#[workflow]
#[derive(Default)]
pub struct Order {}

#[workflow]
impl Order {
    /// Returns after how many days everything is there.
    #[run]
    async fn run(&self, items: Vec<String>) -> WorkflowResult<u32> {
        let order = workflow::info().workflow_id.clone();
        // A letter that goes on when the order is done.
        let letter = Shipment::run("letter".to_owned())
            .id(format!("{order}-letter"))
            .parent_close_policy(ParentClosePolicy::Abandon)
            .start()
            .await?;
        letter.make_express().await?;
        // All items at once. The order waits for the slowest.
        let shipments =
            items.into_iter().map(|item| Shipment::run(item.clone()).id(format!("{order}-{item}")).into_future());
        let mut days = 0;
        for shipment in join_all(shipments).await {
            days = days.max(shipment?);
        }
        Ok(days)
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::connect("memory:").await?;
    let worker =
        Worker::builder(&client, "shop").workflow::<Order>().workflow::<Shipment>().workflow::<Stock>().build()?;
    worker
        .run_until(async {
            let stock = client.start(Stock::run()).id("stock").task_queue("shop").await?;
            let items = ["book".to_owned(), "lamp".to_owned(), "chair".to_owned()];
            let order = client.start(Order::run(items.to_vec())).id("order-17").task_queue("shop").await?;
            println!("everything is there after {} days", order.result().await?);
            let letter = client.workflow_handle::<Shipment>("order-17-letter");
            println!("the letter travels {} day", letter.result().await?);
            println!("taken from the stock: {}", stock.taken().await?.join(", "));
            Ok::<_, Error>(())
        })
        .await?;
    Ok(())
}
