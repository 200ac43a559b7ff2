// Contexts in methods of a workflow.
use everloop::prelude::*;

struct WorkflowContext;

#[workflow]
#[derive(Default)]
pub struct Order {
    total: State<u32>,
}

#[workflow]
impl Order {
    #[run]
    async fn run(&self, _ctx: WorkflowContext, cents: u32) -> WorkflowResult<u32> {
        Ok(cents)
    }
    #[signal]
    fn add(&self, ctx: &ActivityContext, cents: u32) {
        ctx.heartbeat(&1);
        self.total.add(cents);
    }
    #[query]
    fn total(&self, _ctx: &mut WorkflowContext) -> u32 {
        self.total.get()
    }
}

async fn client(client: Client) {
    let order = client.start(Order::run(5)).id("order").task_queue("orders").await.unwrap();
    order.add(5).await.unwrap();
    println!("{}", order.total().await.unwrap());
}

fn main() {}
