//! Engines in files: what was under way goes on after the engine was closed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use everloop::client::{ConnectError, WorkflowStatus};
use everloop::prelude::*;

#[derive(Clone, Default)]
struct Till {
    charges: Arc<AtomicU32>,
}

#[activities]
impl Till {
    /// Fails once.
    #[activity(start_to_close_timeout = "1m")]
    async fn charge(&self, amount: u32) -> ActivityResult<u32> {
        match self.charges.fetch_add(1, Ordering::SeqCst) {
            0 => Err(ActivityError::new("the till is jammed")),
            _ => Ok(amount),
        }
    }
}

#[workflow]
#[derive(Default)]
struct Order {
    amount: State<u32>,
    confirmed: State<bool>,
}

#[workflow]
impl Order {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        self.confirmed.wait(|confirmed| *confirmed).await?;
        sleep(Duration::from_secs(3600)).await?;
        Ok(Till::charge(self.amount.get()).await?)
    }

    #[signal]
    fn add(&self, amount: u32) {
        self.amount.update(|sum| *sum += amount);
    }

    #[update]
    fn confirm(&self) -> u32 {
        self.confirmed.set(true);
        self.amount.get()
    }

    #[query]
    fn amount(&self) -> u32 {
        self.amount.get()
    }
}

async fn connect(file: &Path) -> Client {
    Client::connect(&format!("sqlite:{}?clock=skipping", file.display())).await.unwrap()
}

async fn refusal(file: &Path) -> String {
    match Client::connect(&format!("sqlite:{}", file.display())).await {
        Err(ConnectError::Engine(text)) => text,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it is open"),
    }
}

fn worker(client: &Client, till: &Till) -> Worker {
    Worker::builder(client, "shop").workflow::<Order>().activities(till.clone()).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_goes_on_each_time_its_engine_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let till = Till::default();

    let client = connect(&file).await;
    let order = client.start(Order::run()).id("order").task_queue("shop").await.unwrap();
    order.add(3).await.unwrap();
    drop((client, order));

    let client = connect(&file).await;
    let order = client.workflow_handle::<Order>("order");
    order.add(4).await.unwrap();
    assert_eq!(worker(&client, &till).run_until(order.amount()).await.unwrap(), 7);
    drop((client, order));

    let client = connect(&file).await;
    let order = client.workflow_handle::<Order>("order");
    assert_eq!(worker(&client, &till).run_until(order.confirm()).await.unwrap(), 7);
    drop((client, order));

    // The timer is in the file alone now; somebody who waits lets it fire.
    let client = connect(&file).await;
    let order = client.workflow_handle::<Order>("order");
    assert_eq!(worker(&client, &till).run_until(order.result()).await.unwrap(), 7);
    assert_eq!(till.charges.load(Ordering::SeqCst), 2);
    drop((client, order));

    let client = connect(&file).await;
    let order = client.workflow_handle::<Order>("order");
    assert_eq!(order.describe().await.unwrap().status(), WorkflowStatus::Completed);
    assert_eq!(order.result().await.unwrap(), 7);
    let again = client.start(Order::run()).id("order").task_queue("shop").await.unwrap();
    assert_eq!(again.describe().await.unwrap().status(), WorkflowStatus::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn within_a_process_a_file_is_one_engine() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    let first = connect(&file).await;
    let second = connect(&folder.path().join(".").join("shop.db")).await;
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink("shop.db", &link).unwrap();
    let third = connect(&link).await;
    first.start(Order::run()).id("order").task_queue("shop").await.unwrap();
    for other in [&second, &third] {
        assert_eq!(other.workflow_handle::<Order>("order").describe().await.unwrap().status(), WorkflowStatus::Running);
    }
    let other_clock = refusal(&file).await;
    assert!(other_clock.to_string().contains("is open in this process with a skipping clock"), "{other_clock}");
    drop((first, second, third));
    let other_clock = refusal(&file).await;
    assert!(other_clock.to_string().contains("keeps the time of a skipping clock"), "{other_clock}");
}

#[tokio::test]
async fn unusable_file_is_rejected_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = refusal(&folder.path().join("none").join("shop.db")).await;
    assert!(nowhere.contains("there is no folder"), "{nowhere}");
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "remember the milk, and a lot of other things that are no database ".repeat(100)).unwrap();
    let no_database = refusal(&text).await;
    assert!(no_database.contains("is no database"), "{no_database}");
}
