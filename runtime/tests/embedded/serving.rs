//! An engine in this process that is served to others.

use everloop::client::{ConnectError, ServeError, WorkflowStatus};
use everloop::prelude::*;
use everloop::worker::WorkerError;

#[activity(start_to_close_timeout = "1m")]
async fn wrap(item: String) -> ActivityResult<String> {
    Ok(format!("a wrapped {item}"))
}

#[workflow]
#[derive(Default)]
struct Gift {}

#[workflow]
impl Gift {
    #[run]
    async fn run(&self, item: String) -> WorkflowResult<String> {
        Ok(wrap(item).await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_and_clients_of_other_processes_come_in_where_an_engine_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let here = Client::connect(format!("sqlite:{}", folder.path().join("shop.db").display())).await.unwrap();
    let serving = here.serve("127.0.0.1:0").await.unwrap();
    let elsewhere = Client::connect(serving.address().to_string()).await.unwrap();
    let worker = Worker::builder(&elsewhere, "gifts").workflow::<Gift>().activity(wrap).build().unwrap();
    let story = async {
        let gift = here.start(Gift::run("lamp".into())).id("gift").task_queue("gifts").await.unwrap();
        gift.result().await.unwrap()
    };
    assert_eq!(worker.run_until(async { Ok::<_, WorkerError>(story.await) }).await.unwrap(), "a wrapped lamp");
    let seen = elsewhere.workflow_handle::<Gift>("gift").describe().await.unwrap();
    assert_eq!(seen.status(), WorkflowStatus::Completed);

    // A worker elsewhere that waits for tasks does not hold up the end.
    let address = serving.address();
    let waiting = Worker::builder(&elsewhere, "gifts").workflow::<Gift>().activity(wrap).build().unwrap();
    let shutdown = waiting.shutdown_handle();
    let waiting = tokio::spawn(waiting.run());
    // It polls, since it has done something.
    here.execute(Gift::run("cup".into())).id("cup").task_queue("gifts").await.unwrap();
    serving.stop().await;
    assert!(matches!(Client::connect(address.to_string()).await, Err(ConnectError::Unreachable { .. })));
    shutdown.shutdown();
    waiting.await.unwrap().unwrap();
    assert_eq!(here.workflow_handle::<Gift>("gift").result().await.unwrap(), "a wrapped lamp");
}

#[tokio::test(flavor = "multi_thread")]
async fn serving_keeps_an_engine_open_and_ends_when_it_is_dropped() {
    let here = Client::connect("memory:").await.unwrap();
    let serving = here.serve("localhost:0").await.unwrap();
    here.start(Gift::run("lamp".into())).id("gift").task_queue("gifts").await.unwrap();
    drop(here);
    let address = serving.address().to_string();
    let elsewhere = Client::connect(&*address).await.unwrap();
    assert_eq!(elsewhere.workflow_handle::<Gift>("gift").describe().await.unwrap().status(), WorkflowStatus::Running);
    drop((elsewhere, serving));
    while Client::connect(&*address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unservable_engine_is_rejected_with_advice() {
    let here = Client::connect("memory:").await.unwrap();
    let serving = here.serve("127.0.0.1:0").await.unwrap();
    let again = here.serve(serving.address().to_string()).await.unwrap_err();
    assert!(matches!(again, ServeError::InUse { .. }), "{again:?}");
    let everywhere = here.serve("0.0.0.0:0").await.unwrap_err().to_string();
    assert!(everywhere.contains("neither encryption nor a key") && everywhere.contains(".insecure()"), "{everywhere}");
    assert!(here.serve("0.0.0.0:0").insecure().await.is_ok());
    let elsewhere = Client::connect(serving.address().to_string()).await.unwrap();
    let server = elsewhere.serve("127.0.0.1:0").await.unwrap_err();
    assert!(matches!(server, ServeError::NotEmbedded), "{server:?}");
}
