// Methods that do not take `&self`.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Counter {
    count: State<u32>,
}

#[workflow]
impl Counter {
    #[run]
    async fn run(self) -> WorkflowResult<u32> {
        Ok(self.count.get())
    }
    #[signal]
    fn add(&mut self, n: u32) {
        self.count.set(n);
    }
    #[query]
    fn count(self: std::rc::Rc<Self>) -> u32 {
        self.count.get()
    }
    #[update]
    fn reset(n: u32) -> u32 {
        n
    }
}

struct Payments;

#[activities]
impl Payments {
    #[activity]
    async fn charge(&mut self, cents: u64) -> u64 {
        cents
    }
    #[activity]
    async fn ping() {}
}

fn main() {}
