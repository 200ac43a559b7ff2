// Validators that do not fit their update.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Account {
    balance: State<u64>,
}

#[workflow]
impl Account {
    #[run]
    async fn run(&self) {}

    #[update(validator = missing)]
    fn deposit(&self, cents: u64) {
        self.balance.set(cents);
    }

    #[update(validator = takes_values)]
    fn withdraw(&self, cents: u64) {
        self.balance.set(cents);
    }
    async fn takes_values(&self, cents: u64) -> bool {
        cents > 0
    }

    #[update(validator = too_few)]
    fn transfer(&self, cents: u64, to: String) {
        let _ = (cents, to);
    }
    fn too_few(&self, cents: &u64) -> WorkflowResult<()> {
        let _ = cents;
        Ok(())
    }

    #[update(validator = returns_nothing)]
    fn close(&self) {}
    fn returns_nothing(&self) {}

    #[update(validator = balance)]
    fn open(&self) {}
    #[query]
    fn balance(&self) -> u64 {
        self.balance.get()
    }
}

fn main() {}
