// A public workflow and a public activity with a private input type.
use everloop::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
struct Purchase {
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
    fn current(&self) -> u32 {
        1
    }
    #[update]
    async fn replace(&self, item_id: String) -> Result<(), std::num::ParseIntError> {
        self.purchase.set(Some(Purchase { item_id }));
        Ok(())
    }
}

fn main() {}
