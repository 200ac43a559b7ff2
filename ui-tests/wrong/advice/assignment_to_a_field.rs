// Fields that are assigned.
use everloop::prelude::*;

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Limits {
    upper: u32,
}

#[workflow]
#[derive(Default)]
pub struct Order {
    total: State<u32>,
    names: State<Vec<String>>,
    plain: u32,
    limits: Limits,
}

#[workflow]
impl Order {
    #[run]
    async fn run(&self, cents: u32) -> WorkflowResult<u32> {
        self.total = cents;
        self.total += cents;
        self.names = Vec::new();
        self.helper();
        Ok(self.total.get())
    }
    #[signal]
    fn add(&self, cents: u32) {
        self.plain = cents;
        if cents > 5 {
            self.limits.upper = 6;
        }
    }
    fn helper(&self) {
        self.total = 5.into();
    }
    fn with_total(mut self, total: u32) -> Self {
        self.total = total.into();
        self
    }
}

fn main() {}
