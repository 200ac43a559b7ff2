//! The smallest program: a workflow, an activity, a worker, a client.

use everloop::prelude::*;
use everloop_examples::{Error, until_ctrl_c};

/// Side effects belong in an activity: it may fail, and is retried then. This one cannot fail, and needs no `Result`.
#[activity(start_to_close_timeout = "10s")]
fn greet(name: String) -> String {
    println!("activity: greeting {name}");
    format!("Hello, {name}!")
}

#[workflow]
#[derive(Default)]
pub struct Hello {}

#[workflow]
impl Hello {
    #[run]
    async fn run(&self, name: String) -> WorkflowResult<String> {
        Ok(greet(name).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // An engine in this process, or the cluster that TEMPORAL_ADDRESS names.
    let client = Client::from_env_or("memory:?clock=skipping").await?;
    let worker = Worker::builder(&client, "hello").workflow::<Hello>().activity(greet).build()?;
    worker.run_until(until_ctrl_c(story(client))).await
}

async fn story(client: Client) -> Result<(), Error> {
    let greeting = client.execute(Hello::run("world".into())).task_queue("hello").await?;
    println!("result: {greeting}");
    Ok(())
}
