// A query and a validator that change the state.
use everloop::prelude::*;

#[workflow]
#[derive(Default)]
struct Account {
    asked: State<u32>,
    last: State<Option<String>>,
}

#[workflow]
impl Account {
    #[run]
    async fn run(&self) {}

    #[query]
    fn asked(&self) -> u32 {
        self.asked.update(|asked| *asked += 1);
        self.asked.get()
    }
    #[update(validator = check)]
    fn rename(&self, name: String) {
        self.last.set(Some(name));
    }
    fn check(&self, name: &String) -> WorkflowResult<()> {
        if self.last.take().as_ref() == Some(name) {
            return Err(WorkflowError::new("the same name"));
        }
        Ok(())
    }
}

fn main() {}
