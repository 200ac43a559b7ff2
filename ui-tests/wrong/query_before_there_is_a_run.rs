// A query as the message of a start request.
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

pub fn wrong(client: &Client, purchase: Purchase) {
    drop(client.start(OneClickBuy::run(purchase)).signal(|it| it.current()));
}

fn main() {}
