// A signal that borrows its input.
// In plain Rust: 0 errors.
use everloop::prelude::*;

#[activity(start_to_close_timeout = "1m")]
pub async fn pay(cents: u32) -> ActivityResult<u32> {
    Ok(cents)
}

#[workflow]
#[derive(Default)]
pub struct Order {
    total: State<u32>,
}

#[workflow]
impl Order {
    #[run]
    async fn run(&self, cents: u32) -> WorkflowResult<u32> {
        self.total.set(cents);
        Ok(pay(cents).await?)
    }
    #[signal]
    fn add(&self, cents: &u32) {
        self.total.add(*cents);
    }
    #[query]
    fn total(&self) -> u32 {
        self.total.get()
    }
    #[update(validator = check)]
    async fn change(&self, cents: u32) -> WorkflowResult<bool> {
        Ok(self.total.replace(cents) > cents)
    }
    fn check(&self, cents: &u32) -> WorkflowResult<()> {
        if *cents == 0 { Err(WorkflowError::new("nothing to pay")) } else { Ok(()) }
    }
}

// A program that uses the item with the mistake.

struct Shop {
    client: Client,
    orders: Vec<OrderHandle>,
}

#[activities]
impl Shop {
    #[activity]
    async fn order(&self, cents: u32) -> ActivityResult<u32> {
        let call = self.client.execute(Order::run(cents));
        Ok(call.id("order").task_queue("orders").await?)
    }
}

#[workflow]
#[derive(Default)]
struct Day {}

#[workflow]
impl Day {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        let paid = pay(5).await?;
        Ok(paid + Shop::order(paid).await?)
    }
}

async fn client(client: Client) -> Result<u32, Box<dyn std::error::Error>> {
    let order = client.start(Order::run(5)).signal(|it| it.add(&1)).id("order").task_queue("orders").await?;
    order.add(&2).await?;
    let total: u32 = order.total().await?;
    println!("{total}");
    let more: bool = order.change(total + 1).await?;
    let again: OrderHandle = client.workflow_handle::<Order>("order");
    let sum: u32 = again.result().await?;
    if more {
        order.cancel().await?
    }
    let shop = Shop { client: client.clone(), orders: vec![order] };
    let worker =
        Worker::builder(&client, "orders").workflow::<Order>().workflow::<Day>().activity(pay).activities(shop);
    worker.build()?.run().await?;
    Ok(sum)
}

fn main() {}
