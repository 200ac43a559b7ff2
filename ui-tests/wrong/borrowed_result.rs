// Results that borrow.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Greeting {
    name: String,
}

#[workflow]
impl Greeting {
    #[run]
    async fn run(&self) {}
    #[query]
    fn name(&self) -> &str {
        &self.name
    }
    #[query]
    fn names(&self) -> Result<Vec<&str>, std::fmt::Error> {
        Ok(vec![&self.name])
    }
}

fn main() {}
