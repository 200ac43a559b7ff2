//! Workflow tasks that fail, and tasks whose worker is lost.

use everloop::client::History;
use everloop::prelude::*;

use super::{SHORT, work};
use crate::recorded::{
    points::{hold_at, panic_at, point},
    stage::{Stage, recordings},
};

recordings! { failed_tasks: Unlucky; a_lost_task: Unlucky }

#[workflow]
#[derive(Default)]
struct Unlucky {
    words: State<Vec<String>>,
}

#[workflow]
impl Unlucky {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        self.words.push(workflow::random::<u32>().to_string());
        point("the first task");
        sleep(SHORT).await?;
        self.words.push(workflow::random::<u32>().to_string());
        // Earlier commands are issued again.
        let working = work(workflow::random::<u8>().into()).start();
        point("the second task");
        working.await?;
        wait_condition(|| self.words.len() >= 4).await?;
        point("the last task");
        self.words.push(workflow::random::<u32>().to_string());
        Ok(self.words.get())
    }

    #[signal]
    fn say(&self, word: String) {
        self.words.push(word);
    }
}

async fn failed_tasks(stage: Stage) -> History {
    for name in ["the first task", "the second task", "the last task"] {
        panic_at(&stage.id, name);
    }
    stage
        .with_worker(async {
            let handle = stage.client.start(Unlucky::run()).id(&stage.id).await.unwrap();
            handle.say("one".into()).await.unwrap();
            handle.say("two".into()).await.unwrap();
            assert_eq!(handle.result().await.unwrap().len(), 5);
            let history = handle.history().await.unwrap();
            let failed = history.event_names().filter(|name| name == "WorkflowTaskFailed").count();
            assert_eq!(failed, 3, "{}", history.timeline());
            history
        })
        .await
}

async fn a_lost_task(stage: Stage) -> History {
    let mut first = hold_at(&stage.id, "the first task");
    let start = stage.client.start(Unlucky::run()).id(&stage.id).task_timeout(Duration::from_secs(1));
    let handle = start.await.unwrap();
    handle.say("one".into()).await.unwrap();
    // The worker with the task is dropped as if its process had ended, and signals keep arriving.
    tokio::select! {
        _ = stage.worker().run() => panic!("nobody stops the worker"),
        () = first.reached() => {}
    }
    handle.say("two".into()).await.unwrap();
    let history = stage
        .with_worker(async {
            assert_eq!(handle.result().await.unwrap().len(), 5);
            handle.history().await.unwrap()
        })
        .await;
    first.release();
    assert!(history.event_names().any(|name| name == "WorkflowTaskTimedOut"), "{}", history.timeline());
    history
}
