//! Programs that define items with names that Everloop uses.

mod with_the_prelude {
    use everloop::prelude::*;

    use self::database::{query, run, update};

    mod database {
        pub fn run(statement: &str) -> usize {
            statement.len()
        }
        pub fn update(statement: &str) -> usize {
            statement.len()
        }
        macro_rules! query {
            ($statement:literal) => {
                $statement
            };
        }
        pub(super) use query;
    }

    pub mod workflow {
        pub const LIMIT: usize = 100;
    }
    mod activity {
        pub const NAME: &str = "shop";
    }

    fn now() -> usize {
        1
    }
    fn info(text: &str) -> usize {
        text.len()
    }
    fn sleep() -> usize {
        2
    }

    #[activity]
    fn count() -> usize {
        run(query!("select 1")) + update("")
    }

    #[workflow]
    #[derive(Default)]
    pub struct Shop {}

    #[workflow]
    impl Shop {
        #[run]
        async fn run(&self) -> WorkflowResult<usize> {
            Ok(count().await? + sleep())
        }
        #[query]
        pub fn info(&self) -> usize {
            now() + info(activity::NAME) + workflow::LIMIT
        }
        #[update]
        pub fn now(&self) -> usize {
            run(query!("select 2"))
        }
    }
}

mod with_the_modules {
    use std::time::Duration;

    use everloop::{State, activity, workflow};

    #[activity]
    fn remind(name: String) -> activity::ActivityResult<String> {
        Ok(name)
    }

    #[workflow]
    #[derive(Default)]
    pub struct Reminder {
        since: State<Option<std::time::SystemTime>>,
    }

    // The attributes of methods need no import.
    #[workflow]
    impl Reminder {
        #[run]
        async fn run(&self, name: String) -> workflow::WorkflowResult<String> {
            self.since.set(Some(workflow::now()));
            workflow::sleep(Duration::from_secs(1)).await?;
            workflow::spawn(workflow::yield_now()).await?;
            Ok(remind(format!("{name} {}", workflow::uuid())).await?)
        }
        #[signal]
        pub fn again(&self) {
            self.since.set(None);
        }
        #[query]
        pub fn since(&self) -> Option<std::time::SystemTime> {
            self.since.get()
        }
        #[update]
        pub fn restart(&self) -> bool {
            self.since.take().is_some()
        }
    }
}

#[test]
fn own_items_take_precedence() {
    let shop = with_the_prelude::Shop::default();
    assert_eq!((shop.info(), shop.now()), (105, 8));
    drop(with_the_prelude::Shop::run());
}

#[test]
fn modules_and_attributes_share_a_name() {
    let reminder = with_the_modules::Reminder::default();
    reminder.again();
    assert_eq!((reminder.since(), reminder.restart()), (None, false));
    drop(with_the_modules::Reminder::run("Ann".into()));
}
