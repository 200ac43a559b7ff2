// Expressions whose results differ on replay, in every kind of method and in a macro's arguments.
use everloop::prelude::*;
use std::time::{Instant, SystemTime};

mod rand {
    pub fn random() -> u32 {
        4
    }
}

#[workflow]
#[derive(Default)]
struct Report {
    name: State<String>,
}

#[workflow]
impl Report {
    #[run]
    async fn run(&self) -> WorkflowResult<u64> {
        let started = Instant::now();
        std::thread::sleep(Duration::from_secs(1));
        println!("{:?}", SystemTime::now());
        let dice = rand::random();
        Ok(started.elapsed().as_secs() + u64::from(dice))
    }
    #[signal]
    fn rename(&self) {
        self.name.set(std::env::var("NAME").unwrap_or_default());
    }
    #[query]
    fn text(&self) -> String {
        std::fs::read_to_string("report.txt").unwrap_or_default()
    }
    async fn helper(&self) {
        use std::process::Command;
        let _ = Command::new("true");
    }
}

fn main() {}
