//! Our attributes inside the user's macros, and the user's macros inside our items.

use everloop::prelude::*;

macro_rules! activity_for {
    ($name:ident, $input:ident: $type:ty, $output:expr) => {
        #[activity]
        async fn $name($input: $type) -> $type {
            let _ = $input;
            $output
        }
    };
}
activity_for!(answer, question: u32, 42);

macro_rules! workflow_for {
    ($name:ident, $activity:path) => {
        #[workflow]
        #[derive(Default)]
        struct $name {
            answered: State<u32>,
        }

        #[workflow]
        impl $name {
            #[run]
            async fn run(&self, question: u32) -> WorkflowResult<u32> {
                let answer = $activity(question).await?;
                self.answered.set(answer);
                Ok(answer)
            }
            #[query]
            fn answered(&self) -> u32 {
                self.answered.get()
            }
        }
    };
}
workflow_for!(Answering, answer);

macro_rules! text {
    () => {
        String
    };
}

#[activity]
fn shout(text: text!()) -> text!() {
    text.to_uppercase()
}

mod others {
    /// As tokio's, whose branch order is random: a body of ours must not find it.
    #[allow(unused_macros, reason = "that is the test")]
    macro_rules! select {
        ($($tokens:tt)*) => {
            compile_error!("a workflow got somebody else's `select!`")
        };
    }
    pub(crate) use select;
}
#[allow(unused_imports)]
use others::select;

#[workflow]
#[derive(Default)]
struct Selecting {}

#[workflow]
impl Selecting {
    #[run]
    async fn run(&self) -> u32 {
        select! {
            _ = sleep(Duration::from_secs(1)) => 1,
            _ = sleep(Duration::from_secs(2)) => 2,
        }
    }
    #[signal]
    async fn poke(&self) {
        // What the body itself imports is what it means.
        mod chosen {
            macro_rules! join {
                () => {};
            }
            pub(super) use join;
        }
        use chosen::join;
        join!();
    }
}

#[test]
fn expansions_of_expansions_are_calls() {
    drop((answer(1), shout("x".into()), Answering::run(1), Selecting::run()));
    assert_eq!(Answering::default().answered(), 0);
}
