//! A program that starts and queries workflows of another process. It shares their definitions with the worker, and
//! links no worker, engine or SQLite.
#![deny(warnings)]

use everloop::client::{ExecuteError, QueryError, SignalError, StartError, Untyped, UpdateError};
use everloop::prelude::*;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
}

/// An activity of another program.
#[activity(start_to_close_timeout = "1m")]
fn charge(purchase: Purchase) -> u64;

/// An activity that the worker's program runs.
#[activity]
async fn announce(ctx: &ActivityContext, text: String) -> ActivityResult<()> {
    ctx.heartbeat(text)?;
    Ok(())
}

pub struct Mail {
    pub sender: String,
}

#[activities]
impl Mail {
    #[activity]
    fn send(&self, text: String) -> String {
        format!("{}: {text}", self.sender)
    }
}

/// The client uses the workflow's type, inputs and messages. It compiles the workflow's code, and never runs it.
#[workflow]
#[derive(Default)]
pub struct OneClickBuy {
    cents: State<u64>,
    purchase: State<Option<Purchase>>,
}

#[workflow]
impl OneClickBuy {
    #[run]
    async fn run(&self, purchase: Purchase) -> WorkflowResult<u64> {
        self.purchase.set(Some(purchase.clone()));
        select! {
            cents = charge(purchase) => self.cents.set(cents?),
            _ = sleep(Duration::from_secs(60)) => announce("nobody charges".into()).await?,
        }
        Mail::send("done".into()).await?;
        wait_condition(workflow::all_handlers_finished).await?;
        Ok(self.cents.get())
    }

    #[signal]
    fn update_purchase(&self, purchase: Purchase) {
        self.purchase.set(Some(purchase));
    }

    #[query]
    fn cents(&self) -> u64 {
        self.cents.get()
    }

    #[update]
    async fn raise(&self, cents: u64) -> WorkflowResult<u64> {
        yield_now().await;
        self.cents.update(|sum| {
            *sum += cents;
            *sum
        });
        Ok(self.cents.get())
    }
}

/// Starts the workflow without waiting for it.
pub async fn start(client: &Client, item_id: String) -> Result<OneClickBuyHandle, StartError> {
    client.start(OneClickBuy::run(Purchase { item_id })).task_queue("purchases").await
}

/// Starts the workflow, and waits for its result.
pub async fn execute(client: &Client, item_id: String) -> Result<u64, ExecuteError> {
    client.execute(OneClickBuy::run(Purchase { item_id })).task_queue("purchases").await
}

pub async fn change(buy: &OneClickBuyHandle, item_id: String) -> Result<(), SignalError> {
    buy.update_purchase(Purchase { item_id }).await
}

pub async fn ask(buy: &OneClickBuyHandle) -> Result<u64, QueryError> {
    buy.cents().await
}

pub async fn raise(buy: &OneClickBuyHandle, cents: u64) -> Result<u64, UpdateError> {
    buy.raise(cents).await
}

/// Lists workflows whose types the program does not know.
pub async fn watch(client: &Client) -> Result<Vec<WorkflowHandle<Untyped>>, everloop::client::ListError> {
    let mut open = client.list_workflows("ExecutionStatus = 'Running'");
    let mut handles = Vec::new();
    while let Some(found) = open.next().await? {
        handles.push(client.untyped_handle(found.workflow_id()));
    }
    Ok(handles)
}
