//! Ends: with work pending, with an error, by termination, and by timeout.

use everloop::client::{History, ResultError};
use everloop::prelude::*;

use super::{LONG, SHORT, wait_for_the_end, work};
use crate::recorded::stage::{Stage, recordings};

recordings! { an_early_end: Hasty; a_failed_end: Hasty; a_terminated_run: Hasty; out_of_time: Hasty }

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum End {
    Completed,
    Failed,
    Never,
}

/// Ends with everything pending.
#[workflow]
#[derive(Default)]
struct Hasty {
    is_asked: State<bool>,
}

#[workflow]
impl Hasty {
    #[run]
    async fn run(&self, end: End) -> WorkflowResult<u32> {
        drop(spawn(sleep(LONG)));
        drop(wait_for_the_end().start());
        let beside = workflow::this::<Self>();
        drop(spawn(async move {
            beside.is_asked.wait(|is_asked| *is_asked).await.ok();
            // Issued in the last task, after the result is decided and before it is sent.
            work(1).await.ok();
        }));
        self.is_asked.wait(|is_asked| *is_asked).await?;
        match end {
            End::Completed => Ok(workflow::random()),
            End::Failed => Err(WorkflowError::new("it had to be").type_name("Fate").details(workflow::random::<u32>())),
            End::Never => {
                sleep(LONG).await?;
                Ok(0)
            }
        }
    }

    /// Its result is never delivered, because the workflow ends.
    #[update(unfinished_policy = abandon)]
    async fn ask(&self) -> WorkflowResult<u32> {
        sleep(SHORT).await?;
        self.is_asked.set(true);
        sleep(LONG).await?;
        Ok(1)
    }

    #[signal(unfinished_policy = abandon)]
    async fn linger(&self) -> WorkflowResult<()> {
        sleep(LONG).await?;
        Ok(())
    }
}

/// Starts a run with this end and waits for it, with options for its start and further actions.
async fn ends(stage: Stage, end: End, limit: Option<Duration>) -> (Result<u32, ResultError>, History) {
    stage
        .with_worker(async {
            let mut start = stage.client.start(Hasty::run(end)).id(&stage.id);
            if let Some(limit) = limit {
                start = start.run_timeout(limit);
            }
            let hasty = start.await.unwrap();
            hasty.linger().await.unwrap();
            let asked = hasty.ask().start().await.unwrap();
            if let (End::Never, None) = (end, limit) {
                hasty.terminate("enough").await.unwrap();
            }
            let result = hasty.result().await;
            assert!(asked.result().await.is_err(), "the workflow ends before its update");
            (result, hasty.history().await.unwrap())
        })
        .await
}

async fn an_early_end(stage: Stage) -> History {
    let (result, history) = ends(stage, End::Completed, None).await;
    assert!(result.is_ok(), "{result:?}");
    history
}

async fn a_failed_end(stage: Stage) -> History {
    let (result, history) = ends(stage, End::Failed, None).await;
    assert!(matches!(result, Err(ResultError::Failed(failure)) if failure.type_name() == Some("Fate")));
    history
}

async fn a_terminated_run(stage: Stage) -> History {
    let (result, history) = ends(stage, End::Never, None).await;
    assert!(matches!(result, Err(ResultError::Terminated { .. })), "{result:?}");
    history
}

async fn out_of_time(stage: Stage) -> History {
    let (result, history) = ends(stage, End::Never, Some(Duration::from_secs(1))).await;
    assert!(matches!(result, Err(ResultError::TimedOut)), "{result:?}");
    history
}
