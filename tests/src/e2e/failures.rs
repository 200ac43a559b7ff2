//! Failures reach the caller with their type, message, details and causes.

use std::{error::Error, fmt};

use everloop::client::{ExecuteError, QueryError, ResultError};
use everloop::data::{ErrorCategory, FailureKind};
use everloop::{Failure, RetryPolicy, prelude::*};

use super::world::{World, count, everywhere, run};

everywhere! {
    error_with_thousands_of_causes_keeps_outermost_ones,
    a_workflow_matches_the_variants_of_an_error,
    errors_carry_their_category_and_their_delay,
}

/// An error with that many causes, like that of a loop that wraps its last error each time.
#[derive(Debug)]
struct Wrapped {
    level: usize,
    source: Option<Box<Self>>,
}

impl Wrapped {
    fn of(levels: usize) -> Self {
        let innermost = Self { level: 1, source: None };
        (1..levels).fold(innermost, |inner, level| Self { level: level + 1, source: Some(Box::new(inner)) })
    }
}

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "level {}", self.level)
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl Drop for Wrapped {
    fn drop(&mut self) {
        let mut next = self.source.take();
        while let Some(mut wrapped) = next {
            next = wrapped.source.take();
        }
    }
}

#[activity(start_to_close_timeout = "10s")]
async fn breaks(levels: usize) -> ActivityResult<u32> {
    Err(Wrapped::of(levels))?
}

#[workflow]
#[derive(Default)]
struct Deep;

#[workflow]
impl Deep {
    /// Number of failures in the chain of the activity, then of the workflow.
    #[run]
    async fn run(&self, levels: usize) -> WorkflowResult<u32> {
        let once = RetryPolicy::new().maximum_attempts(1);
        let failure = breaks(levels).retry_policy(once).await.unwrap_err();
        if failure.message() != format!("level {levels}") || failure.failure().chain().count() > Failure::CHAIN_MAX {
            return Err(WorkflowError::new(format!("the outermost cause is missing: {failure}")));
        }
        Err(Wrapped::of(levels))?
    }

    #[query]
    fn depth(&self, levels: usize) -> Result<u32, Wrapped> {
        Err(Wrapped::of(levels))
    }
}

async fn error_with_thousands_of_causes_keeps_outermost_ones(world: World) {
    for levels in [60, 99, 20_000] {
        let worker = world.worker().workflow::<Deep>().activity(breaks);
        let handle = run(worker, async {
            let handle = world.client.start(Deep::run(levels)).await.unwrap();
            let Err(ResultError::Failed(failure)) = handle.result().await else { panic!("it fails") };
            let messages: Vec<&str> = failure.chain().map(|failure| failure.message.as_str()).collect();
            assert_eq!(messages.len(), Failure::CHAIN_MAX);
            assert_eq!(messages[..2], [format!("level {levels}"), format!("level {}", levels - 1)]);
            let cut = format!("{} more causes were cut; the innermost says: level 1", levels - 49);
            assert_eq!(failure.root_message(), cut);
            assert_eq!(failure.type_name(), Some("Wrapped"));

            let Err(QueryError::Failed(failure)) = handle.depth(levels).await else { panic!("it fails") };
            assert!(failure.to_string().contains(&format!("level {levels}")), "{failure}");
            handle
        })
        .await;
        // The history is complete.
        let history = handle.history().await.unwrap();
        assert_eq!(count(&history, "ActivityTaskFailed"), 1);
        assert_eq!(count(&history, "WorkflowExecutionFailed"), 1);
    }
}

#[derive(Debug, Clone, PartialEq, ActivityFailure)]
enum ChargeError {
    #[failure(non_retryable)]
    Declined { code: u32, reason: Option<String> },
    /// Retryable.
    Busy(Duration),
    #[failure(name = "NoCard", non_retryable)]
    Card,
    /// Expected, and retried sooner than by the retry policy.
    #[failure(benign, next_retry_delay = "20ms")]
    NotYet,
}

impl fmt::Display for ChargeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declined { code, .. } => write!(f, "the bank declined with {code}"),
            Self::Busy(_) => f.write_str("the bank is busy"),
            Self::Card => f.write_str("no card"),
            Self::NotYet => f.write_str("not yet"),
        }
    }
}

/// Fails as requested; retryable errors contain the number of the attempt.
#[activity(retry_policy(maximum_attempts = 2, initial_interval = "10ms"))]
async fn charge(ctx: &ActivityContext, how: String) -> Result<u32, ChargeError> {
    match how.as_str() {
        "declined" => Err(ChargeError::Declined { code: 50 + ctx.info().attempt, reason: None }),
        "busy" => Err(ChargeError::Busy(Duration::from_secs(ctx.info().attempt.into()))),
        "card" => Err(ChargeError::Card),
        "panic" => panic!("out of order"),
        _ => Ok(ctx.info().attempt),
    }
}

/// `charge` as another SDK sees it, which knows names and details only.
mod elsewhere {
    use everloop::prelude::*;

    #[activity(name = "charge_elsewhere")]
    pub(super) async fn charge(how: String) -> ActivityResult<u32> {
        let declined = ActivityError::non_retryable("no");
        Err(match how.as_str() {
            "older" => declined.type_name("Declined").details(5u32),
            "other" => declined.type_name("Declined").details("five".to_owned()),
            _ => ActivityError::typed(super::ChargeError::Card),
        })
    }

    pub(super) mod believed {
        use crate::e2e::failures::ChargeError;

        #[everloop::activity(name = "charge_elsewhere")]
        pub(in crate::e2e::failures) fn charge(how: String) -> Result<u32, ChargeError>;
    }
}

#[workflow]
#[derive(Default)]
struct Charges;

#[workflow]
impl Charges {
    #[run]
    async fn run(&self, how: String) -> WorkflowResult<String> {
        match charge(how).await {
            Ok(attempt) => Ok(format!("charged at attempt {attempt}")),
            Err(CallError::Failed(ChargeError::Declined { code, reason }, failure)) => {
                Ok(format!("declined with {code} ({reason:?}): {}", failure.message()))
            }
            Err(error) if error.failed().is_some() => Err(error)?,
            Err(CallError::Failed(..)) => Err(WorkflowError::new("not reached")),
            Err(CallError::Other(failure)) => Ok(format!("other: {}", failure.type_name().unwrap_or_default())),
        }
    }
}

/// The retry policy alone would let the workflow wait for an hour.
#[activity(retry_policy(maximum_attempts = 2, initial_interval = "1h"))]
async fn ask(ctx: &ActivityContext, typed: bool) -> ActivityResult<u32> {
    match (typed, ctx.info().attempt) {
        (true, _) => Err(ActivityError::typed(ChargeError::NotYet)),
        (false, 1) => {
            let soon = ActivityError::new("not yet").next_retry_delay(Duration::from_millis(20));
            Err(soon.category(ErrorCategory::Benign))
        }
        (false, attempt) => Ok(attempt),
    }
}

#[workflow]
#[derive(Default)]
struct Asks;

#[workflow]
impl Asks {
    #[run]
    async fn run(&self, typed: bool) -> WorkflowResult<u32> {
        let asked = ask(typed).await;
        match asked.as_ref().map_err(|failure| failure.failure().category()) {
            Ok(_) | Err(ErrorCategory::Benign) => Ok(asked?),
            Err(category) => Err(WorkflowError::new(format!("the category was lost: {category:?}"))),
        }
    }
}

async fn errors_carry_their_category_and_their_delay(world: World) {
    run(world.worker().workflow::<Asks>().activity(ask), async {
        assert_eq!(world.client.execute(Asks::run(false)).await.unwrap(), 2);
        let result = world.client.execute(Asks::run(true)).await;
        let Err(ExecuteError::Result(ResultError::Failed(failure))) = result else { panic!("{result:?}") };
        assert_eq!(failure.category(), ErrorCategory::Benign);
        assert_eq!(failure.typed::<ChargeError>(), Some(ChargeError::NotYet));
        let delays = failure.chain().find_map(|failure| match failure.kind {
            FailureKind::Application { next_retry_delay, .. } => Some(next_retry_delay),
            _ => None,
        });
        assert_eq!(delays, Some(Some(Duration::from_millis(20))));
    })
    .await;
}

#[workflow]
#[derive(Default)]
struct ChargesElsewhere;

#[workflow]
impl ChargesElsewhere {
    #[run]
    async fn run(&self, how: String) -> WorkflowResult<String> {
        match elsewhere::believed::charge(how).await {
            Err(CallError::Failed(error, _)) => Ok(format!("{error:?}")),
            other => Ok(format!("other: {}", other.unwrap_err())),
        }
    }
}

async fn a_workflow_matches_the_variants_of_an_error(world: World) {
    let worker = world.worker().workflow::<Charges>().workflow::<ChargesElsewhere>();
    run(worker.activity(charge).activity(elsewhere::charge), async {
        for (how, expected) in [
            ("fine", "charged at attempt 1"),
            ("declined", "declined with 51 (None): the bank declined with 51"),
            ("panic", "other: Panic"),
        ] {
            let charged = world.client.execute(Charges::run(how.to_owned())).await.unwrap();
            assert_eq!(charged, expected, "{how}");
        }
        // The caller of the workflow reads the variant too; it is that of the last attempt.
        for (how, expected) in [("busy", ChargeError::Busy(Duration::from_secs(2))), ("card", ChargeError::Card)] {
            let result = world.client.execute(Charges::run(how.to_owned())).await;
            let Err(ExecuteError::Result(ResultError::Failed(failure))) = result else { panic!("{result:?}") };
            assert_eq!(failure.typed::<ChargeError>(), Some(expected.clone()));
            assert!(failure.to_string().starts_with("activity `charge`: "), "{failure}");
            assert!(failure.to_string().ends_with(&expected.to_string()), "{failure}");
        }
        for (how, expected) in [
            ("older", "Declined { code: 5, reason: None }"),
            ("typed", "Card"),
            ("other", "other: activity `charge_elsewhere`: the activity failed: Declined: no"),
        ] {
            let charged = world.client.execute(ChargesElsewhere::run(how.to_owned())).await.unwrap();
            assert_eq!(charged, expected, "{how}");
        }
    })
    .await;
}
