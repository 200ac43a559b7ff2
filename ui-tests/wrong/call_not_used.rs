// A call is dropped, so it would not run.
#![deny(unused_must_use)]
use everloop::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
}

#[activity]
pub async fn do_purchase(purchase: Purchase) -> ActivityResult<()> {
    drop(purchase);
    Ok(())
}

#[workflow]
#[derive(Default)]
pub struct OneClickBuy {
    purchase: State<Option<Purchase>>,
}

#[workflow]
impl OneClickBuy {
    #[run]
    async fn run(&self, purchase: Purchase) -> WorkflowResult<u32> {
        self.purchase.set(Some(purchase));
        Ok(1)
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

pub async fn wrong(client: &Client, handle: &OneClickBuyHandle, purchase: Purchase) {
    do_purchase(purchase.clone());
    OneClickBuy::run(purchase.clone());
    client.start(OneClickBuy::run(purchase.clone()));
    handle.update_purchase(purchase);
    handle.current();
}

fn main() {}
