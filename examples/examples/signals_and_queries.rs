//! A cart that is filled by signals, read by queries, and waits until the customer checks out, for years if need be.

use everloop::prelude::*;
use everloop_examples::{Error, until_ctrl_c};

#[workflow]
#[derive(Default)]
pub struct Cart {
    // Handlers run between the awaits of `run`, so shared data is in a `State`.
    items: State<Vec<String>>,
    checked_out: State<bool>,
}

#[workflow]
impl Cart {
    #[run]
    async fn run(&self) -> WorkflowResult<String> {
        self.checked_out.wait(|checked_out| *checked_out).await?;
        Ok(format!("{} items: {}", self.items.len(), self.items.get().join(", ")))
    }

    // The server stores a signal before the call returns: it is not lost if no worker runs.
    #[signal]
    fn add(&self, item: String) {
        self.items.push(item);
    }

    #[signal]
    fn check_out(&self) {
        self.checked_out.set(true);
    }

    // A query only reads. It also works after the end.
    #[query]
    fn items(&self) -> Vec<String> {
        self.items.get()
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let client = Client::from_env_or("memory:?clock=skipping").await?;
    let worker = Worker::builder(&client, "carts").workflow::<Cart>().build()?;
    worker.run_until(until_ctrl_c(story(client))).await
}

async fn story(client: Client) -> Result<(), Error> {
    // The first signal is sent with the start: no cart exists without it.
    let cart = client.start(Cart::run()).task_queue("carts").signal(|cart| cart.add("apples".into())).await?;
    println!("started with {:?}", cart.items().await?);

    cart.add("bread".into()).await?;
    cart.add("cheese".into()).await?;
    // A query sees every signal that was sent before it.
    println!("now there are {:?}", cart.items().await?);

    cart.check_out().await?;
    println!("checked out, {}", cart.result().await?);
    println!("and still there are {:?}", cart.items().await?);
    Ok(())
}
