//! Concurrent operations within one workflow.

use std::rc::Rc;

use everloop::prelude::*;
use everloop::workflow::JoinHandle;

use super::world::{World, count, event, everywhere, run};

everywhere! {
    join_waits_for_all_in_order,
    select_takes_the_first_and_cancels_the_others,
    spawned_coroutine_runs_concurrently,
    cancelled_and_detached_coroutines_end,
    conditions_wake_each_other,
    async_channels_work_in_workflows,
    a_shielded_part_is_not_cancelled;
    waiting: a_scope_ends_with_its_children, a_scope_ends_with_the_first_error, timeout_cancels_its_future
}

#[activity]
async fn echo(text: String) -> String {
    text
}

/// Ends when it is cancelled, at the latest.
#[activity(heartbeat_timeout = "2s", cancellation_type = wait_cancellation_completed)]
async fn forever(ctx: &ActivityContext) -> ActivityResult<()> {
    ctx.heartbeat(())?;
    let mut pause = tokio::time::interval(Duration::from_millis(10));
    loop {
        tokio::select! {
            _ = ctx.cancelled() => return Err(ActivityError::cancelled()),
            _ = pause.tick() => ctx.heartbeat(())?,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Construct {
    Join,
    Select,
    Spawn,
    Detach,
    Conditions,
    Channels,
    Shield,
    Scope,
    FailingScope,
    Limit,
}

#[workflow]
#[derive(Default)]
struct Together {
    log: State<Vec<String>>,
    turn: State<u32>,
    go_on: State<bool>,
}

#[workflow]
impl Together {
    #[run]
    async fn run(&self, construct: Construct, wait: Duration) -> WorkflowResult<Vec<String>> {
        match construct {
            Construct::Join => self.join().await?,
            Construct::Select => self.select().await?,
            Construct::Spawn => self.spawn().await?,
            Construct::Detach => self.detach().await?,
            Construct::Conditions => self.conditions().await?,
            Construct::Channels => self.channels().await?,
            Construct::Shield => self.shield().await?,
            Construct::Scope => self.scope(wait).await?,
            Construct::FailingScope => self.failing_scope(wait).await,
            Construct::Limit => self.limit(wait).await?,
        }
        Ok(self.log.get())
    }

    #[signal]
    fn go_on(&self) {
        self.go_on.set(true);
    }

    async fn join(&self) -> WorkflowResult<()> {
        let (a, b) = join!(echo("a".into()), async {
            let one = echo("b".into()).await?;
            echo(one + "c").await
        });
        self.log.push(a?);
        self.log.push(b?);
        let all = join_all((0..5).map(|number| echo(number.to_string()))).await;
        for text in all {
            self.log.push(text?);
        }
        Ok(())
    }

    async fn select(&self) -> WorkflowResult<()> {
        let first = select! {
            _ = forever() => "the endless one".to_owned(),
            text = echo("the quick one".into()) => text?,
        };
        self.log.push(first);
        // The loser is cancelled, and the workflow does not wait for it.
        let first = select! {
            () = cancelled() => "cancelled",
            () = yield_now() => "yielded",
        };
        self.log.push(first.to_owned());
        Ok(())
    }

    async fn spawn(&self) -> WorkflowResult<()> {
        let workers: Vec<JoinHandle<WorkflowResult<String>>> = (0..3)
            .map(|number| {
                let this = workflow::this::<Self>();
                spawn(async move {
                    this.log.push(format!("{number} begins"));
                    Ok(echo(format!("{number} ends")).await?)
                })
            })
            .collect();
        // The coroutines start when this one waits, in the order in which they were spawned.
        self.log.push("spawned".into());
        for worker in workers {
            let text = worker.await??;
            self.log.push(text);
        }
        Ok(())
    }

    async fn detach(&self) -> WorkflowResult<()> {
        let waiting = spawn(async { sleep(Duration::from_secs(3600)).await });
        let this = workflow::this::<Self>();
        drop(spawn(async move {
            let _ = echo("x".into()).await;
            this.log.push("the detached one ran on".into());
            this.turn.set(1);
        }));
        self.turn.wait(|turn| *turn == 1).await?;
        waiting.cancel();
        let is_cancelled = waiting.await?.is_err();
        self.log.push(format!("the cancelled one: {is_cancelled}"));
        Ok(())
    }

    /// Runs two coroutines in turns.
    async fn conditions(&self) -> WorkflowResult<()> {
        let this: Rc<Self> = workflow::this();
        let other = spawn(async move {
            for turn in [1, 3, 5] {
                wait_condition(|| this.turn.get() == turn).await?;
                this.log.push(format!("odd {turn}"));
                this.turn.set(turn + 1);
            }
            Ok::<_, WorkflowError>(())
        });
        for turn in [0, 2, 4] {
            self.turn.wait(|current| *current == turn).await?;
            self.log.push(format!("even {turn}"));
            self.turn.set(turn + 1);
        }
        other.await?
    }

    async fn channels(&self) -> WorkflowResult<()> {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let producer = spawn(async move {
            for number in 0..4 {
                let text = echo(number.to_string()).await?;
                sender.send(text).await?;
            }
            Ok::<_, WorkflowError>(())
        });
        while let Some(text) = receiver.recv().await {
            self.log.push(text);
        }
        producer.await?
    }

    async fn shield(&self) -> WorkflowResult<()> {
        let this = workflow::this::<Self>();
        let shielded = shield(async move {
            this.go_on.wait(|go_on| *go_on).await?;
            Ok::<_, WorkflowError>(echo("the shielded one ran on".into()).await?)
        });
        let mut shielded = std::pin::pin!(shielded);
        let text = match shielded.as_mut().await {
            Ok(text) => text?,
            Err(_) => {
                self.log.push(format!("cancelled: {}", workflow::is_cancelled()));
                shielded.await??
            }
        };
        self.log.push(text);
        Ok(())
    }

    async fn scope(&self, wait: Duration) -> WorkflowResult<()> {
        let names = ["one".to_owned(), "two".to_owned()];
        let count = scope(async |s| {
            // The coroutines borrow variables declared before the scope.
            for (name, factor) in names.iter().zip([2, 1]) {
                s.spawn(async move {
                    sleep(factor * wait).await?;
                    self.log.push(name.clone());
                    Ok(())
                });
            }
            self.log.push("the body".into());
            Ok(names.len())
        });
        let count = count.await?;
        self.log.push(format!("{count} have ended"));
        Ok(())
    }

    async fn failing_scope(&self, wait: Duration) {
        let ended = scope(async |s| {
            s.spawn(async {
                sleep(100 * wait).await?;
                self.log.push("the long one".into());
                Ok(())
            });
            s.spawn(async {
                sleep(wait).await?;
                Err(WorkflowError::new("the short one failed"))
            });
            Ok(())
        });
        if let Err(error) = ended.await {
            self.log.push(error.to_string());
        }
    }

    async fn limit(&self, wait: Duration) -> WorkflowResult<()> {
        let is_late =
            timeout(wait, echo("nobody".into()).task_queue(workflow::info().task_queue.clone() + "-nobody")).await;
        self.log.push(format!("{:?}", is_late.is_err()));
        Ok(())
    }
}

/// Runs one construct to its end.
async fn together(world: &World, construct: Construct) -> (TogetherHandle, Vec<String>) {
    run(worker(world), async {
        let handle = world.client.start(Together::run(construct, world.wait())).await.unwrap();
        let log = handle.result().await.unwrap();
        (handle, log)
    })
    .await
}

fn worker(world: &World) -> everloop::worker::WorkerBuilder {
    world.worker().workflow::<Together>().activity(echo).activity(forever)
}

async fn join_waits_for_all_in_order(world: World) {
    let (_, log) = together(&world, Construct::Join).await;
    assert_eq!(log, ["a", "bc", "0", "1", "2", "3", "4"]);
}

async fn select_takes_the_first_and_cancels_the_others(world: World) {
    let (handle, log) = together(&world, Construct::Select).await;
    assert_eq!(log, ["the quick one", "yielded"]);
    assert_eq!(count(&handle.history().await.unwrap(), "ActivityTaskCancelRequested"), 1);
}

async fn spawned_coroutine_runs_concurrently(world: World) {
    let (handle, log) = together(&world, Construct::Spawn).await;
    assert_eq!(log, ["spawned", "0 begins", "1 begins", "2 begins", "0 ends", "1 ends", "2 ends"]);
    let names: Vec<_> = handle.history().await.unwrap().event_names().collect();
    assert_eq!(names[4..7], ["ActivityTaskScheduled"; 3]);
}

async fn cancelled_and_detached_coroutines_end(world: World) {
    let (handle, log) = together(&world, Construct::Detach).await;
    assert_eq!(log, ["the detached one ran on", "the cancelled one: true"]);
    assert_eq!(count(&handle.history().await.unwrap(), "TimerCanceled"), 1);
}

async fn conditions_wake_each_other(world: World) {
    let (handle, log) = together(&world, Construct::Conditions).await;
    assert_eq!(log, ["even 0", "odd 1", "even 2", "odd 3", "even 4", "odd 5"]);
    assert_eq!(count(&handle.history().await.unwrap(), "WorkflowTaskCompleted"), 1, "all of it is one task");
}

async fn async_channels_work_in_workflows(world: World) {
    let (_, log) = together(&world, Construct::Channels).await;
    assert_eq!(log, ["0", "1", "2", "3"]);
}

async fn a_shielded_part_is_not_cancelled(world: World) {
    run(worker(&world), async {
        let handle = world.client.start(Together::run(Construct::Shield, world.wait())).await.unwrap();
        event(&handle, "WorkflowTaskCompleted").await;
        handle.cancel().await.unwrap();
        handle.go_on().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), ["cancelled: true", "the shielded one ran on"]);
        // Without a cancellation, shielding has no effect.
        let handle = world.client.start(Together::run(Construct::Shield, world.wait())).await.unwrap();
        handle.go_on().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), ["the shielded one ran on"]);
    })
    .await;
}

async fn a_scope_ends_with_its_children(world: World) {
    let (_, log) = together(&world, Construct::Scope).await;
    assert_eq!(log, ["the body", "two", "one", "2 have ended"]);
    world.assert_skipped(2 * world.wait());
}

async fn a_scope_ends_with_the_first_error(world: World) {
    let (handle, log) = together(&world, Construct::FailingScope).await;
    assert_eq!(log, ["the short one failed"]);
    assert_eq!(count(&handle.history().await.unwrap(), "TimerCanceled"), 1);
    world.assert_skipped(world.wait());
}

async fn timeout_cancels_its_future(world: World) {
    let (handle, log) = together(&world, Construct::Limit).await;
    assert_eq!(log, ["true"]);
    let history = handle.history().await.unwrap();
    assert_eq!(count(&history, "ActivityTaskCancelRequested"), 1, "{}", history.timeline());
    world.assert_skipped(world.wait());
}
