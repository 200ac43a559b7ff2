//! Ends of workflows, and the results that their callers receive.

use everloop::client::{ResultError, WorkflowStatus};
use everloop::prelude::*;

use super::world::{World, count, event, everywhere, run, until};

everywhere! {
    uncaught_cancellation_cancels_workflow,
    workflow_cleans_up_after_cancellation,
    a_cancellation_before_the_first_task,
    a_termination,
    an_error;
    waiting: run_times_out, delayed_start_runs_later
}

#[activity]
async fn give_back(booking: u32) -> u32 {
    booking + 1
}

#[derive(Serialize, Deserialize)]
enum Ending {
    /// Waits, and ends by `?` when it is cancelled.
    Wait,
    /// Waits, and cleans up when it is cancelled.
    CleanUp,
    /// The same, but completes after the clean-up.
    CarryOn,
    Fail,
    Parse(String),
}

#[workflow]
#[derive(Default)]
struct Ends {
    given_back: State<u32>,
}

#[workflow]
impl Ends {
    #[run]
    async fn run(&self, ending: Ending) -> WorkflowResult<u32> {
        let year = Duration::from_secs(365 * 24 * 3600);
        match ending {
            Ending::Wait => sleep(100 * year).await?,
            Ending::CleanUp | Ending::CarryOn => {
                let Err(cancelled) = sleep(100 * year).await else { return Ok(0) };
                // The cancellation is delivered once: operations that begin now run as usual.
                sleep(Duration::from_millis(1)).await?;
                self.given_back.set(give_back(4).await?);
                if matches!(ending, Ending::CleanUp) {
                    return Err(cancelled.into());
                }
            }
            Ending::Fail => return Err(WorkflowError::new("sold out").type_name("SoldOut").details(("lamp", 5))),
            Ending::Parse(text) => return Ok(text.parse()?),
        }
        Ok(self.given_back.get())
    }

    #[query]
    fn given_back(&self) -> u32 {
        self.given_back.get()
    }
}

fn worker(world: &World) -> everloop::worker::WorkerBuilder {
    world.worker().workflow::<Ends>().activity(give_back)
}

async fn ends(world: &World, ending: Ending) -> EndsHandle {
    world.client.start(Ends::run(ending)).await.unwrap()
}

async fn uncaught_cancellation_cancels_workflow(world: World) {
    run(worker(&world), async {
        let handle = ends(&world, Ending::Wait).await;
        event(&handle, "TimerStarted").await;
        handle.cancel().await.unwrap();
        // Two requests cancel once.
        handle.cancel().await.unwrap();
        assert!(matches!(handle.result().await, Err(ResultError::Cancelled { .. })));
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Cancelled);
        let history = handle.history().await.unwrap();
        let last: Vec<_> = history.event_names().skip(history.len() - 3).collect();
        assert_eq!(last, ["WorkflowTaskCompleted", "TimerCanceled", "WorkflowExecutionCanceled"]);
        // The workflow has ended: the request has no effect and is no error.
        handle.cancel().await.unwrap();
    })
    .await;
}

async fn workflow_cleans_up_after_cancellation(world: World) {
    run(worker(&world), async {
        let handle = ends(&world, Ending::CleanUp).await;
        event(&handle, "TimerStarted").await;
        handle.cancel().await.unwrap();
        assert!(matches!(handle.result().await, Err(ResultError::Cancelled { .. })));
        assert_eq!(handle.given_back().await.unwrap(), 5);

        let handle = ends(&world, Ending::CarryOn).await;
        event(&handle, "TimerStarted").await;
        handle.cancel().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 5);
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Completed);
    })
    .await;
}

async fn a_cancellation_before_the_first_task(world: World) {
    let handle = ends(&world, Ending::CleanUp).await;
    handle.cancel().await.unwrap();
    let result = run(worker(&world), handle.result()).await;
    assert!(matches!(result, Err(ResultError::Cancelled { .. })), "{result:?}");
    // The first timer was cancelled before it was sent to the server.
    assert_eq!(count(&handle.history().await.unwrap(), "TimerStarted"), 1);
}

async fn a_termination(world: World) {
    run(worker(&world), async {
        let handle = ends(&world, Ending::CleanUp).await;
        event(&handle, "TimerStarted").await;
        handle.terminate("fire in the house").await.unwrap();
        let Err(ResultError::Terminated { reason }) = handle.result().await else { panic!("it is terminated") };
        assert_eq!(reason, "fire in the house");
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Terminated);
        let timeline = handle.history().await.unwrap().timeline();
        assert!(timeline.trim_end().ends_with("fire in the house"), "{timeline}");
        let error = handle.terminate("again").await.unwrap_err().to_string();
        assert!(error.contains(handle.id()) && error.contains("has ended"), "{error}");
    })
    .await;
}

async fn an_error(world: World) {
    run(worker(&world), async {
        let handle = ends(&world, Ending::Fail).await;
        let Err(ResultError::Failed(failure)) = handle.result().await else { panic!("it failed") };
        assert_eq!((failure.type_name(), failure.to_string().as_str()), (Some("SoldOut"), "SoldOut: sold out"));
        assert_eq!(failure.details().unwrap().get(0), Some(Ok(("lamp".to_owned(), 5))));
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Failed);

        // Any error works; its type is the name of the Rust type.
        let result = world.client.execute(Ends::run(Ending::Parse("x".into()))).await;
        assert_eq!(
            result.unwrap_err().to_string(),
            "the workflow failed: ParseIntError: invalid digit found in string"
        );
        assert_eq!(world.client.execute(Ends::run(Ending::Parse("12".into()))).await.unwrap(), 12);
    })
    .await;
}

async fn run_times_out(world: World) {
    run(worker(&world), async {
        let wait = world.wait();
        let handle = world.client.start(Ends::run(Ending::Wait)).run_timeout(wait).await.unwrap();
        assert_eq!(handle.describe().await.unwrap().run_timeout(), Some(wait));
        assert!(matches!(handle.result().await, Err(ResultError::TimedOut)));
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::TimedOut);

        let handle = world.client.start(Ends::run(Ending::Wait)).execution_timeout(wait).await.unwrap();
        assert!(matches!(handle.result().await, Err(ResultError::TimedOut)));
        world.assert_skipped(2 * wait);
    })
    .await;
}

async fn delayed_start_runs_later(world: World) {
    run(worker(&world), async {
        let start = world.client.start(Ends::run(Ending::Parse("5".into()))).start_delay(world.wait());
        let handle = start.await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 5);
        let described = handle.describe().await.unwrap();
        let (start, execution) = (described.start_time().unwrap(), described.execution_time().unwrap());
        assert!(execution.duration_since(start).unwrap() >= world.wait());
        world.assert_skipped(world.wait());
        until(|| async { handle.describe().await.unwrap().status() == WorkflowStatus::Completed }).await;
    })
    .await;
}
