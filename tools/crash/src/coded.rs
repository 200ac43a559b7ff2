//! The load's workflow as users write it, in the process of the engine.

use std::sync::Arc;

use everloop::RetryPolicy;
use everloop::prelude::*;

use crate::calls::{QUEUE, REJECTED_PREFIX};
use crate::entry::{Entry, Journal, Kind, Operation};
use crate::script::{Script, Step};

/// The state that the activities share.
struct Crew {
    journal: Arc<dyn Journal>,
    /// The prefix of the results of this life.
    prefix: String,
}

#[activities]
impl Crew {
    #[activity(start_to_close_timeout = "1s", retry_policy(initial_interval = "5ms", backoff_coefficient = 1.0))]
    async fn work(&self, ctx: &ActivityContext, failures: u32) -> ActivityResult<String> {
        self.note_execution(ctx, 0);
        if ctx.info().attempt <= failures {
            return Err(ActivityError::new("not yet"));
        }
        Ok(self.result(ctx))
    }

    /// The caller's retry policy also sets the maximum number of attempts.
    #[activity(start_to_close_timeout = "1s")]
    async fn bounded(&self, ctx: &ActivityContext, maximum_attempts: u32, failures: u32) -> ActivityResult<String> {
        self.note_execution(ctx, maximum_attempts);
        if ctx.info().attempt <= failures {
            return Err(ActivityError::new("not yet"));
        }
        Ok(self.result(ctx))
    }
}

impl Crew {
    fn note_execution(&self, ctx: &ActivityContext, maximum_attempts: u32) {
        let info = ctx.info();
        self.journal.note(Entry::Executed {
            workflow_id: info.workflow_id.clone(),
            activity_id: info.activity_id.clone(),
            attempt: attempt(ctx),
            maximum_attempts,
        });
    }

    /// Only the worker knows whether the result reaches the engine.
    fn result(&self, ctx: &ActivityContext) -> String {
        let info = ctx.info();
        let (workflow_id, activity_id, attempt) = (info.workflow_id.clone(), info.activity_id.clone(), attempt(ctx));
        let id = format!("{}-{workflow_id}-{activity_id}-{attempt}", self.prefix);
        let kind = Kind::Activity { activity_id, attempt };
        self.journal.note(Entry::Sent(Operation { id: id.clone(), workflow_id, kind }));
        id
    }
}

fn attempt(ctx: &ActivityContext) -> i32 {
    i32::try_from(ctx.info().attempt).unwrap_or(i32::MAX)
}

#[workflow]
#[derive(Default)]
struct Errand {
    signals: State<u32>,
}

#[workflow]
impl Errand {
    #[run]
    async fn run(&self, script: Script, _padding: String) -> WorkflowResult<u32> {
        for step in script.steps {
            match step {
                Step::Timer { ms } => sleep(Duration::from_millis(ms.into())).await?,
                Step::Work { failures } => {
                    let activities: Vec<_> =
                        failures.into_iter().map(|failures| Crew::work(failures).start()).collect();
                    for activity in activities {
                        activity.await?;
                    }
                }
                // All attempts may fail, or die with their workers.
                Step::Bounded { maximum_attempts, failures } => {
                    let policy = RetryPolicy::new()
                        .initial_interval(Duration::from_millis(5))
                        .backoff_coefficient(1.0)
                        .maximum_attempts(maximum_attempts);
                    match Crew::bounded(maximum_attempts, failures).retry_policy(policy).await {
                        Err(error) if error.is_cancelled() => return Err(error.into()),
                        _ => {}
                    }
                }
                Step::Signals { total } => wait_condition(|| self.signals.get() >= total).await?,
            }
        }
        if script.fails { Err(WorkflowError::new("as the script says")) } else { Ok(self.signals.get()) }
    }

    #[signal]
    fn poke(&self, _operation: String) {
        self.signals.add(1);
    }

    #[query]
    fn pokes(&self) -> u32 {
        self.signals.get()
    }

    #[update(validator = may_change)]
    fn change(&self, operation: String) -> String {
        operation
    }

    fn may_change(&self, operation: &str) -> WorkflowResult<()> {
        if operation.starts_with(REJECTED_PREFIX) { Err(WorkflowError::new("rejected as requested")) } else { Ok(()) }
    }
}

/// Builds the worker of one life.
pub(crate) fn worker(client: &Client, journal: Arc<dyn Journal>, prefix: &str) -> Result<Worker, crate::Error> {
    let crew = Crew { journal, prefix: format!("{prefix}-w") };
    Ok(Worker::builder(client, QUEUE).workflow::<Errand>().activities(crew).build()?)
}
