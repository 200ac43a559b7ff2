//! The dependency has another name: the macros find the name in `Cargo.toml` and use it in paths.
#![deny(warnings)]

use durable::prelude::*;

#[activity]
async fn greet(name: String) -> ActivityResult<String> {
    Ok(format!("hello {name}"))
}

struct Greeter;

#[activities]
impl Greeter {
    #[activity]
    fn part(&self, name: String) -> String {
        format!("bye {name}")
    }
}

#[workflow]
#[derive(Default)]
struct Greeting {
    greeted: State<bool>,
}

#[workflow]
impl Greeting {
    #[run]
    async fn run(&self, name: String) -> WorkflowResult<String> {
        self.greeted.set(true);
        #[durable::allow_nondeterminism("only printed")]
        let started = std::time::Instant::now();
        println!("{started:?}");
        Ok(greet(name).await?)
    }
    #[durable::query]
    fn greeted(&self) -> bool {
        self.greeted.get()
    }
}

/// The path of the dependency as an argument, for crates in which the macros cannot find it.
mod given {
    mod vendored {
        pub(crate) mod library {
            pub(crate) use durable::{__private, activities, activity, workflow};
        }
    }
    use vendored::library;

    #[library::activity(crate = library)]
    pub(crate) fn shout(name: String) -> String {
        name.to_uppercase()
    }

    pub(crate) struct Shouter;

    #[library::activities(crate = library)]
    impl Shouter {
        #[activity]
        fn whisper(&self, name: String) -> String {
            name.to_lowercase()
        }
    }

    #[library::workflow(crate = library)]
    #[derive(Default)]
    pub(crate) struct Shouting {}

    #[library::workflow(crate = library, name = "shouting")]
    impl Shouting {
        #[run]
        async fn run(&self) {}
        #[library::signal]
        pub(crate) fn louder(&self) {}
    }
}

fn name<A: activity::Activity>(_: ActivityCall<A>) -> &'static str {
    A::NAME
}

#[test]
fn calls_are_made_under_another_name() {
    assert_eq!(name(greet("ada".into())), "greet");
    assert_eq!(name(Greeter::part("ada".into())), "part");
    assert_eq!(name(given::shout("ada".into())), "shout");
    assert_eq!(name(given::Shouter::whisper("ada".into())), "whisper");
    drop((Greeting::run("ada".into()), given::Shouting::run()));
    assert_eq!(<given::Shouting as workflow::Workflow>::NAME, "shouting");
    assert!(!Greeting::default().greeted());
    given::Shouting::default().louder();
    let (_, _) = (Greeter, given::Shouter);
}
