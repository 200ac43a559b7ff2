//! Coroutines, scopes, conditions, channels.

use everloop::client::History;
use everloop::prelude::*;
use everloop::workflow::{Elapsed, Uuid};

use super::{LONG, SHORT, decline, work};
use crate::recorded::stage::{Stage, recordings};

recordings! { coroutines: Coroutines; conditions: Conditions }

#[workflow]
#[derive(Default)]
struct Coroutines {
    order: State<Vec<String>>,
}

#[workflow]
impl Coroutines {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        // Coroutines start in the order of their spawns, and continue in the order of their wakes.
        let step = |name: &'static str, wait: Duration| {
            let this = workflow::this::<Self>();
            async move {
                sleep(wait).await?;
                this.order.push(name.to_owned());
                Ok::<_, everloop::Cancelled>(name.len())
            }
        };
        let (first, second) = (spawn(step("slow", SHORT * 3)), spawn(step("fast", SHORT)));
        let third = spawn(work(workflow::random::<u8>().into()));
        self.order.push(format!("{} letters", first.await?? + second.await??));
        third.await??;

        // Children borrow; the scope ends with the last of them, or with the first error.
        let waits = [SHORT, SHORT * 2];
        let sum = scope(async |s| {
            for wait in &waits {
                s.spawn(async { Ok(sleep(*wait).await?) });
            }
            Ok(work(2).await?)
        })
        .await?;
        self.order.push(format!("the scope gives {sum}"));
        let failed = scope(async |s| {
            s.spawn(async { Ok(sleep(LONG).await?) });
            s.spawn(async {
                work(3).await?;
                Ok(())
            });
            s.spawn(async {
                decline("in a scope".into()).await?;
                Ok(())
            });
            Ok(())
        })
        .await;
        self.order.push(format!("the scope failed: {}", failed.is_err()));

        // One is cancelled, one is dropped with its handle, one runs on detached.
        let cancelled = spawn(step("never", LONG));
        let dropped = spawn(step("never either", LONG)).cancel_on_drop();
        drop(spawn(step("detached", SHORT)));
        yield_now().await;
        cancelled.cancel();
        drop(dropped);
        self.order.push(format!("cancelled: {}", cancelled.await?.is_err()));

        // Operations that a spawned coroutine leaves pending when it ends.
        let outer = workflow::this::<Self>();
        spawn(async move {
            drop(spawn(async move {
                sleep(SHORT).await.ok();
                outer.order.push("an heir".to_owned());
            }));
        })
        .await?;

        // A channel between coroutines.
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Uuid>(1);
        drop(spawn(async move {
            for _ in 0..3 {
                sleep(SHORT / 3).await.ok();
                sender.send(workflow::uuid()).await.ok();
            }
        }));
        while let Some(id) = receiver.recv().await {
            self.order.push(id.to_string());
        }
        sleep(SHORT * 2).await?;
        Ok(self.order.get())
    }
}

async fn coroutines(stage: Stage) -> History {
    stage
        .with_worker(async {
            let handle = stage.client.start(Coroutines::run()).id(&stage.id).await.unwrap();
            let order = handle.result().await.unwrap();
            let expected = ["fast", "slow", "8 letters", "the scope gives 20", "the scope failed: true"];
            assert_eq!(order[..5], expected, "{order:?}");
            assert!(order.contains(&"an heir".to_owned()) && !order.contains(&"never".to_owned()), "{order:?}");
            handle.history().await.unwrap()
        })
        .await
}

#[workflow]
#[derive(Default)]
struct Conditions {
    count: State<u32>,
    seen: State<Vec<String>>,
}

#[workflow]
impl Conditions {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        // Two coroutines wait for the same change, one of them for its field alone; each reacts to it.
        let beside = workflow::this::<Self>();
        let other = spawn(async move {
            beside.count.wait(|count| *count >= 2).await?;
            beside.seen.push(format!("the other sees {}", beside.count.get()));
            beside.count.add(10);
            Ok::<_, everloop::Cancelled>(())
        });
        wait_condition(|| self.count.get() >= 2).await?;
        self.seen.push(format!("run sees {}", self.count.get()));
        other.await??;

        let elapsed = timeout(SHORT, wait_condition(|| self.count.get() > 1000)).await;
        self.seen.push(format!("in time: {}", elapsed != Err(Elapsed)));
        // True at once: no wait, no trace.
        wait_condition(|| true).await?;
        let begun = workflow::now();
        drop(spawn(sleep(SHORT)));
        wait_condition(|| workflow::now() > begun).await?;
        wait_condition(|| self.count.get() >= 14 && workflow::all_handlers_finished()).await?;
        Ok(self.seen.get())
    }

    #[signal]
    async fn count_to(&self, n: u32) -> WorkflowResult<()> {
        for _ in 0..n {
            sleep(Duration::from_millis(5)).await?;
            self.count.add(1);
        }
        Ok(())
    }
}

async fn conditions(stage: Stage) -> History {
    stage
        .with_worker(async {
            let handle = stage.client.start(Conditions::run()).id(&stage.id).await.unwrap();
            handle.count_to(2).await.unwrap();
            handle.count_to(2).await.unwrap();
            let seen = handle.result().await.unwrap();
            assert_eq!(seen.len(), 3, "{seen:?}");
            handle.history().await.unwrap()
        })
        .await
}
