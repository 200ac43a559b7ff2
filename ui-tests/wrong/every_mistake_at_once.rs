// Mistakes of all kinds in one block: each is reported, without follow-up errors.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Order {
    paid: State<bool>,
}

#[workflow(nmae = "order")]
impl Order {
    #[run]
    async fn run(&mut self, name: &str) -> WorkflowResult<bool> {
        let _ = (name, std::time::SystemTime::now());
        Ok(self.paid.get())
    }
    #[signal(unfinished = abandon)]
    fn cancel<T>(&self, reason: T) {
        let _ = reason;
    }
    #[query]
    async fn paid(self) -> bool {
        self.paid.get()
    }
}

fn main() {}
