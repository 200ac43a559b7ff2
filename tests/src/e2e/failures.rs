//! Why something failed reaches whoever waits for it, however it was said.

use std::{error::Error, fmt};

use everloop::{Failure, QueryError, ResultError, RetryPolicy, prelude::*};

use super::world::{World, count, everywhere, run};

everywhere! {
    an_error_with_thousands_of_causes_keeps_the_outer_ones,
}

/// An error with so many errors below it, as a loop makes that wraps its last error each time.
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
    /// How many failures the activity's has, then the workflow's own.
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

async fn an_error_with_thousands_of_causes_keeps_the_outer_ones(world: World) {
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
        // Nothing of history is missing.
        let history = handle.history().await.unwrap();
        assert_eq!(count(&history, "ActivityTaskFailed"), 1);
        assert_eq!(count(&history, "WorkflowExecutionFailed"), 1);
    }
}
