// `#[init]` and `#[run]` disagree.
use everloop::prelude::*;

#[derive(Clone, Serialize, Deserialize)]
pub struct Purchase {
    pub item_id: String,
}

#[workflow]
pub struct OneClickBuy {
    id: String,
}

#[workflow]
impl OneClickBuy {
    #[init]
    fn new(id: String) -> Self {
        Self { id }
    }
    #[run]
    async fn run(&self, purchase: Purchase) -> WorkflowResult<String> {
        Ok(purchase.item_id + &self.id)
    }
}

fn main() {}
