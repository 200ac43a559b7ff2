//! The purchase of the README, with less time to change one's mind.

use everloop::prelude::*;

use super::shop;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Purchase {
    item_id: String,
    user_id: String,
}

impl Purchase {
    pub(super) fn of(item: &str) -> Self {
        Self { item_id: item.into(), user_id: "ann".into() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) enum PurchaseStatus {
    #[default]
    Pending,
    Confirmed,
    Completed,
    Cancelled,
}

/// Activities that know the shop's address.
pub(super) struct Customer {
    pub(super) shop: String,
}

#[activities]
impl Customer {
    /// An attempt of a killed worker times out after this.
    #[activity(start_to_close_timeout = "3s", retry_policy(initial_interval = "10ms"))]
    async fn do_purchase(&self, purchase: Purchase) -> ActivityResult<()> {
        match shop::order(&self.shop, &purchase.item_id).await? {
            200 => Ok(()),
            status => Err(ActivityError::new(format!("status {status}"))),
        }
    }
}

#[workflow]
#[derive(Default)]
pub(super) struct OneClickBuy {
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
        // Long enough for the change to arrive in time on a busy machine.
        if sleep(Duration::from_secs(5)).await.is_err() {
            self.status.set(PurchaseStatus::Cancelled);
            return Ok(self.status.get());
        }
        self.status.set(PurchaseStatus::Confirmed);
        Customer::do_purchase(self.purchase.get().unwrap()).await?;
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
