// The method of `#[run]` is called on a value.
use everloop::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
}

#[workflow]
#[derive(Default)]
pub struct OneClickBuy {
    purchase: State<Option<Purchase>>,
}

#[workflow]
impl OneClickBuy {
    #[run]
    async fn buy(&self, purchase: Purchase) -> WorkflowResult<u32> {
        self.purchase.set(Some(purchase.clone()));
        self.buy(purchase).await
    }
    #[signal]
    fn update_purchase(&self, purchase: Purchase) {
        self.purchase.set(Some(purchase));
    }
    #[query]
    fn current(&self) -> Option<Purchase> {
        self.purchase.get()
    }
    #[update]
    async fn replace(&self, item_id: String) -> Result<(), std::num::ParseIntError> {
        self.purchase.set(Some(Purchase { item_id }));
        Ok(())
    }
}

fn main() {}
