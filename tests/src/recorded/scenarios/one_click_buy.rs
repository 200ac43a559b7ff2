//! The purchase of the README: changed and completed, cancelled in time, and rejected by the shop.

use everloop::client::{History, ResultError};
use everloop::prelude::*;

use crate::recorded::stage::{Stage, recordings};

recordings! { a_changed_purchase: OneClickBuy; a_cancelled_purchase: OneClickBuy; a_refused_purchase: OneClickBuy }

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Purchase {
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

/// An unreliable shop, which has no moons.
#[activity(start_to_close_timeout = "1m", retry_policy(initial_interval = "10ms"))]
pub(super) async fn do_purchase(ctx: &ActivityContext, purchase: Purchase) -> ActivityResult<()> {
    match (ctx.info().attempt, purchase.item_id.as_str()) {
        (_, "moon") => Err(ActivityError::non_retryable("status 400")),
        (1 | 2, _) => Err(ActivityError::new("status 500")),
        _ => Ok(()),
    }
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
    async fn run(&self, purchase: Purchase, to_change_your_mind: Duration) -> WorkflowResult<PurchaseStatus> {
        self.purchase.update(|p| {
            p.get_or_insert(purchase);
        });
        if sleep(to_change_your_mind).await.is_err() {
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

/// Long enough for a signal, and a short wait.
const LITTLE_TIME: Duration = Duration::from_millis(500);
const MUCH_TIME: Duration = Duration::from_secs(3600);

fn order(item: &str) -> Purchase {
    Purchase { item_id: item.into(), user_id: "ann".into() }
}

async fn a_changed_purchase(stage: Stage) -> History {
    stage
        .with_worker(async {
            let buy = stage.client.start(OneClickBuy::run(order("red lamp"), LITTLE_TIME)).id(&stage.id).await.unwrap();
            assert_eq!(buy.current_status().await.unwrap(), PurchaseStatus::Pending);
            buy.update_purchase(order("green lamp")).await.unwrap();
            assert_eq!(buy.result().await.unwrap(), PurchaseStatus::Completed);
            buy.history().await.unwrap()
        })
        .await
}

async fn a_cancelled_purchase(stage: Stage) -> History {
    stage
        .with_worker(async {
            let buy = stage.client.start(OneClickBuy::run(order("piano"), MUCH_TIME)).id(&stage.id).await.unwrap();
            assert_eq!(buy.current_status().await.unwrap(), PurchaseStatus::Pending);
            buy.cancel().await.unwrap();
            assert_eq!(buy.result().await.unwrap(), PurchaseStatus::Cancelled);
            buy.history().await.unwrap()
        })
        .await
}

async fn a_refused_purchase(stage: Stage) -> History {
    stage
        .with_worker(async {
            let buy = stage.client.start(OneClickBuy::run(order("moon"), Duration::ZERO)).id(&stage.id).await.unwrap();
            let refused = buy.result().await;
            assert!(matches!(refused, Err(ResultError::Failed(failure)) if failure.root_message() == "status 400"));
            buy.history().await.unwrap()
        })
        .await
}
