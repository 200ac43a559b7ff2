//! Patches: in `run`, a helper, a handler and a coroutine; one of them deprecated.

use everloop::client::History;
use everloop::prelude::*;

use super::{SHORT, work};
use crate::recorded::stage::{Stage, recordings};

recordings! { patches: Patches }

#[workflow]
#[derive(Default)]
struct Patches {
    total: State<u32>,
    ended: State<bool>,
}

async fn helper() -> WorkflowResult<u32> {
    if workflow::patched("work in a helper") {
        return Ok(work(1).await?);
    }
    sleep(SHORT).await?;
    Ok(0)
}

#[workflow]
impl Patches {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        for round in 0..2 {
            self.total.add(helper().await?);
            if workflow::patched("sleep first") {
                sleep(SHORT).await?;
            }
            if workflow::patched(&format!("round {round}")) {
                self.total.add(spawn(async { work(u32::from(workflow::patched("in a coroutine"))).await }).await??);
            }
        }
        workflow::deprecate_patch("wait for the end");
        self.ended.wait(|ended| *ended).await?;
        Ok(self.total.get())
    }

    #[signal]
    async fn end(&self) -> WorkflowResult<()> {
        if workflow::patched("in a handler") {
            work(7).await?;
        }
        self.ended.set(true);
        Ok(())
    }
}

async fn patches(stage: Stage) -> History {
    stage
        .with_worker(async {
            let handle = stage.client.start(Patches::run()).id(&stage.id).await.unwrap();
            handle.end().await.unwrap();
            assert_eq!(handle.result().await.unwrap(), 40);
            handle.history().await.unwrap()
        })
        .await
}
