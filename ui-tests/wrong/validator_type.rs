// Validators whose parameter types differ from their update's.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Account {}

#[workflow]
impl Account {
    #[run]
    async fn run(&self) {}

    #[update(validator = other_type)]
    fn deposit(&self, cents: u64) {
        let _ = cents;
    }
    fn other_type(&self, cents: &u32) -> WorkflowResult<()> {
        let _ = cents;
        Ok(())
    }

    #[update(validator = says_yes)]
    fn withdraw(&self, cents: u64) {
        let _ = cents;
    }
    fn says_yes(&self, cents: &u64) -> bool {
        *cents > 0
    }
}

fn main() {}
