//! Everloop's attributes inside the user's macros, and the user's macros inside items with these attributes.

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

/// Arguments of an attribute, as fragments of each kind.
macro_rules! activity_with {
    ($name:ident as $wire:literal, $limit:literal, $stops:path, $context:ty => $result:ty) => {
        #[activity(name = $wire, heartbeat_timeout = $limit, cancellation_type = $stops)]
        async fn $name(ctx: $context) -> $result {
            ctx.heartbeat(()).map_err(Box::new)?;
            Ok($wire.to_owned())
        }
    };
}
activity_with!(charge as "payments.charge", "10s", abandon, &ActivityContext => Result<String, Box<everloop::data::EncodeError>>);

macro_rules! retried_activity {
    ($name:ident, $attempts:literal, $factor:expr, $first:literal, $other:expr) => {
        #[activity(retry_policy(maximum_attempts = $attempts, backoff_coefficient = $factor))]
        async fn $name() {}

        mod final_errors {
            #[everloop::activity(retry_policy(non_retryable_error_types = [$first, $other]))]
            pub(super) async fn $name() {}
        }
    };
}
retried_activity!(refund, 3, 2.0, "Declined", "Lost");

macro_rules! workflow_with {
    ($type:ident as $name:literal, $signal:literal, $query:expr, $update:literal, $policy:ident, $validator:ident) => {
        #[workflow]
        #[derive(Default)]
        struct $type {}

        #[workflow(name = $name)]
        impl $type {
            #[run]
            async fn run(&self) {}
            #[signal(name = $signal, unfinished_policy = $policy)]
            fn stop(&self) {}
            #[query(name = $query)]
            fn answer(&self) -> u32 {
                1
            }
            #[update(name = $update, validator = $validator)]
            fn change(&self, to: u32) -> u32 {
                to
            }
            fn $validator(&self, _to: &u32) -> Result<(), std::fmt::Error> {
                Ok(())
            }
        }
    };
}
workflow_with!(Named as "named", "a-signal", "a-query", "an-update", abandon, check);

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
    /// As tokio's, which polls its branches in random order: a workflow's body must not resolve to it.
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
        // An import inside the body takes precedence.
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
    drop((charge(), refund(), final_errors::refund(), Named::run(), Named::default()));
    fn name_of<A: activity::Activity>(_: &ActivityCall<A>) -> &'static str {
        A::NAME
    }
    assert_eq!(name_of(&charge()), "payments.charge");
    assert_eq!(<Named as workflow::Workflow>::NAME, "named");
}
