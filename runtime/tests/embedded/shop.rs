//! The README's workflow, and each kind of call.

use std::time::Duration;

use everloop::client::{ResultError, StartError, WorkflowStatus};
use everloop::prelude::*;
use everloop::worker::WorkerError;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Purchase {
    item_id: String,
    user_id: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
enum PurchaseStatus {
    #[default]
    Pending,
    Confirmed,
    Cancelled,
    Completed,
}

#[activity(start_to_close_timeout = "1m")]
async fn do_purchase(purchase: Purchase) -> ActivityResult<()> {
    if purchase.item_id == "sold out" {
        return Err(ActivityError::non_retryable("sold out").type_name("SoldOut"));
    }
    Ok(())
}

#[workflow]
#[derive(Default)]
struct OneClickBuy {
    status: State<PurchaseStatus>,
    purchase: State<Option<Purchase>>,
}

#[workflow]
impl OneClickBuy {
    #[run]
    async fn run(&self, purchase: Purchase) -> WorkflowResult<PurchaseStatus> {
        self.purchase.update(|p| {
            p.get_or_insert(purchase);
        });
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

    #[update]
    fn change_item(&self, item_id: String) -> WorkflowResult<String> {
        let mut purchase = self.purchase.get().ok_or("nothing was bought").map_err(WorkflowError::new)?;
        let before = std::mem::replace(&mut purchase.item_id, item_id);
        self.purchase.set(Some(purchase));
        Ok(before)
    }
}

fn purchase(item: &str) -> Purchase {
    Purchase { item_id: item.into(), user_id: "u".into() }
}

async fn shop<F: Future>(story: impl FnOnce(Client) -> F) -> F::Output {
    let client = Client::builder("memory:?clock=skipping").task_queue("purchases").await.unwrap();
    let worker = Worker::builder(&client, "purchases").workflow::<OneClickBuy>().activity(do_purchase).build().unwrap();
    worker.run_until(async { Ok::<_, WorkerError>(story(client).await) }).await.unwrap()
}

#[tokio::test]
async fn a_purchase_is_completed() {
    shop(async |client| {
        let handle = client.start(OneClickBuy::run(purchase("a"))).id("buy-1").await.unwrap();
        assert_eq!(handle.result().await.unwrap(), PurchaseStatus::Completed);
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Completed);
        assert!(client.engine_clock().unwrap().skipped() >= Duration::from_secs(9));
        // A query is answered after the end, too.
        assert_eq!(handle.current_status().await.unwrap(), PurchaseStatus::Completed);
    })
    .await;
}

#[tokio::test]
async fn a_purchase_is_cancelled_and_asked_at_once() {
    shop(async |client| {
        let handle = client.start(OneClickBuy::run(purchase("a"))).await.unwrap();
        assert_eq!(handle.current_status().await.unwrap(), PurchaseStatus::Pending);
        handle.cancel().await.unwrap();
        assert_eq!(handle.current_status().await.unwrap(), PurchaseStatus::Cancelled);
        assert_eq!(handle.result().await.unwrap(), PurchaseStatus::Cancelled);
    })
    .await;
}

#[tokio::test]
async fn signals_and_updates_change_the_purchase() {
    shop(async |client| {
        let handle = client.start(OneClickBuy::run(purchase("a"))).await.unwrap();
        // An update that came with the first task would be handled before `run` begins.
        assert_eq!(handle.current_status().await.unwrap(), PurchaseStatus::Pending);
        assert_eq!(handle.change_item("b".into()).await.unwrap(), "a");
        handle.update_purchase(purchase("sold out")).await.unwrap();
        let Err(ResultError::Failed(failure)) = handle.result().await else { panic!("it was sold out") };
        assert_eq!(failure.type_name(), Some("SoldOut"));

        let started =
            client.start(OneClickBuy::run(purchase("a"))).signal(|it| it.update_purchase(purchase("sold out")));
        assert!(matches!(started.await.unwrap().result().await, Err(ResultError::Failed(_))));
    })
    .await;
}

#[tokio::test]
async fn an_id_is_taken_once() {
    shop(async |client| {
        let handle = client.start(OneClickBuy::run(purchase("a"))).id("buy").await.unwrap();
        let again = client.start(OneClickBuy::run(purchase("a"))).id("buy").await;
        let Err(StartError::AlreadyStarted { run_id, .. }) = again else { panic!("the id is taken") };
        assert_eq!(Some(run_id.as_str()), handle.run_id());
    })
    .await;
}
