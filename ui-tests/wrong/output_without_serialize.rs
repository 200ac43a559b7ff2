// A workflow returns a type with one derive of two.
use everloop::prelude::*;

#[derive(Clone, Serialize)]
pub struct Purchase {
    pub item_id: String,
}

#[workflow]
#[derive(Default)]
pub struct OneClickBuy {}

#[workflow]
impl OneClickBuy {
    #[run]
    async fn run(&self) -> WorkflowResult<Purchase> {
        Ok(Purchase { item_id: String::new() })
    }
}

fn main() {}
