//! What goes wrong is a clear error at the edge; nothing is lost, and the worker lives on.

use everloop::client::{
    ExecuteError, HandleError, ListError, QueryError, ResultError, SignalError, StartError, UpdateError, WorkflowStatus,
};
use everloop::data::Payloads;
use everloop::prelude::*;
use everloop::worker::{BuildError, WorkerError};

#[activity]
async fn double(number: u32) -> u32 {
    number * 2
}

#[activity(name = "nowhere")]
async fn nowhere(number: u32) -> u32 {
    number
}

#[workflow]
#[derive(Default)]
struct Doubles {
    is_done: State<bool>,
}

#[workflow]
impl Doubles {
    #[run]
    async fn run(&self, number: u32) -> WorkflowResult<u32> {
        let doubled = double(number).await?;
        wait_condition(|| self.is_done.get()).await?;
        Ok(doubled)
    }

    #[signal]
    fn finish(&self) {
        self.is_done.set(true);
    }

    #[query]
    fn is_done(&self) -> bool {
        self.is_done.get()
    }

    #[query]
    fn divide(&self, by: u32) -> u32 {
        10 / by
    }

    #[update(validator = check_amount)]
    fn add(&self, amount: u32) -> WorkflowResult<u32> {
        if amount > 100 {
            return Err(WorkflowError::new("too much").type_name("TooMuch"));
        }
        Ok(amount)
    }

    fn check_amount(&self, amount: &u32) -> WorkflowResult<()> {
        if *amount == 0 { Err(WorkflowError::new("nothing to add")) } else { Ok(()) }
    }
}

#[workflow]
#[derive(Default)]
struct CallsNowhere;

#[workflow]
impl CallsNowhere {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        let call = nowhere(1).retry_policy(everloop::RetryPolicy::new().maximum_attempts(1));
        Ok(call.await?)
    }
}

async fn with_worker<F: Future>(story: impl FnOnce(Client) -> F) -> F::Output {
    let client = Client::builder("memory:?clock=skipping").task_queue("q").await.unwrap();
    let worker =
        Worker::builder(&client, "q").workflow::<Doubles>().workflow::<CallsNowhere>().activity(double).build();
    worker.unwrap().run_until(async { Ok::<_, WorkerError>(story(client).await) }).await.unwrap()
}

async fn doubles(client: &Client) -> DoublesHandle {
    client.start(Doubles::run(4)).await.unwrap()
}

#[tokio::test]
async fn messages_that_do_not_fit_fail_alone() {
    with_worker(async |client| {
        let handle = doubles(&client).await;
        let untyped = handle.untyped();
        let text = Payloads::of(&"five".to_owned()).unwrap();

        let Err(QueryError::Failed(failure)) = untyped.query::<bool>("how_far", Payloads::new()).await else {
            panic!()
        };
        assert!(failure.to_string().contains("there is no query `how_far`; there are: divide, is_done"), "{failure}");
        let Err(QueryError::Failed(failure)) = untyped.query::<u32>("divide", text.clone()).await else { panic!() };
        assert!(failure.to_string().contains("argument 1 `by`"), "{failure}");
        let Err(QueryError::Failed(failure)) = handle.divide(0).await else { panic!() };
        assert!(failure.to_string().contains("divide by zero"), "{failure}");
        let wrong_type = untyped.query::<Vec<u8>>("is_done", Payloads::new()).await;
        assert!(matches!(wrong_type, Err(QueryError::Decode { .. })));

        let Err(UpdateError::Failed(failure)) = untyped.update::<u32>("subtract", text.clone()).await else { panic!() };
        assert!(failure.to_string().contains("there is no update `subtract`; there are: add"), "{failure}");
        let Err(UpdateError::Failed(failure)) = handle.add(0).await else { panic!("rejected") };
        assert_eq!(failure.root_message(), "nothing to add");
        let Err(UpdateError::Failed(failure)) = handle.add(101).await else { panic!("accepted, and failed") };
        assert_eq!(failure.type_name(), Some("TooMuch"));
        let update = handle.add(7).id("seven").start().await.unwrap();
        assert_eq!((update.id(), update.result().await.unwrap()), ("seven", 7));

        // Neither is lost for who looks at the history; the workflow goes on.
        untyped.signal("undo", text.clone()).await.unwrap();
        untyped.signal("finish", text).await.unwrap();
        assert!(!handle.is_done().await.unwrap());
        handle.finish().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 8);

        assert!(matches!(handle.finish().await, Err(SignalError::NotFound { .. })));
        assert!(matches!(handle.add(1).await, Err(UpdateError::NotFound { .. })));
        assert!(matches!(handle.terminate("").await, Err(HandleError::NotFound { .. })));
        handle.cancel().await.unwrap();
        let wrong_type = untyped.result::<String>().await;
        assert!(matches!(wrong_type, Err(ResultError::Decode { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_workflow_that_is_not_there_is_named() {
    with_worker(async |client| {
        let handle = client.workflow_handle::<Doubles>("missing");
        let errors = [
            handle.result().await.unwrap_err().to_string(),
            handle.finish().await.unwrap_err().to_string(),
            handle.is_done().await.unwrap_err().to_string(),
            handle.add(1).await.unwrap_err().to_string(),
            handle.describe().await.unwrap_err().to_string(),
            handle.history().await.unwrap_err().to_string(),
        ];
        for error in errors {
            assert!(error.contains("there is no workflow `missing`: check the id"), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn unregistered_types_wait_or_fail_with_a_report() {
    with_worker(async |client| {
        let Err(ExecuteError::Result(ResultError::Failed(failure))) = client.execute(CallsNowhere::run()).await else {
            panic!("there is no such activity")
        };
        let text = failure.to_string();
        assert!(text.contains("`nowhere` is not registered") && text.contains("there are: double"), "{text}");

        let unknown = client.start_untyped("Triples", Payloads::new()).await.unwrap();
        let undecodable = client.start_untyped("Doubles", Payloads::of(&"four".to_owned()).unwrap()).await.unwrap();
        for (handle, reason) in [(&unknown, "`Triples` is not registered"), (&undecodable, "argument 1 `number`")] {
            // The task fails and is offered again: a worker that can do it may come.
            let failed = loop {
                let history = handle.history().await.unwrap();
                if history.event_names().any(|name| name == "WorkflowTaskFailed") {
                    break history;
                }
                tokio::task::yield_now().await;
            };
            assert!(failed.timeline().contains(reason), "{}", failed.timeline());
            assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Running);
        }
        // The worker is still there for others.
        let handle = doubles(&client).await;
        handle.finish().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 8);
    })
    .await;
}

#[tokio::test]
async fn starts_that_cannot_be_are_refused() {
    let client = Client::connect("memory:").await.unwrap();
    let Err(StartError::NoTaskQueue { .. }) = client.start(Doubles::run(1)).await else { panic!("no queue") };
    let Err(StartError::NoTaskQueue { .. }) = client.start(Doubles::run(1)).task_queue("").await else {
        panic!("no queue")
    };
    let Err(StartError::EmptyId) = client.start(Doubles::run(1)).id("").task_queue("q").await else { panic!("no id") };
    let nameless = client.workflow_handle::<Doubles>("");
    for error in [
        nameless.result().await.unwrap_err().to_string(),
        nameless.finish().await.unwrap_err().to_string(),
        nameless.is_done().await.unwrap_err().to_string(),
        nameless.add(1).await.unwrap_err().to_string(),
        nameless.describe().await.unwrap_err().to_string(),
    ] {
        assert!(error.contains("the workflow id is empty: give the id"), "{error}");
    }
    let error = client.list_workflows("WorkflowType ~ 5").all().await.unwrap_err();
    assert!(matches!(&error, ListError::Filter { filter, .. } if filter == "WorkflowType ~ 5"), "{error}");
}

#[tokio::test]
async fn workers_that_cannot_be_are_refused() {
    let client = Client::connect("memory:").await.unwrap();
    assert!(matches!(Worker::builder(&client, "q").build(), Err(BuildError::Nothing { .. })));
    let twice = Worker::builder(&client, "q").activity(double).activity(double).build();
    let error = twice.expect_err("one activity is registered twice").to_string();
    assert!(error.contains("activity `double` is registered twice") && error.contains("#[activity(name"), "{error}");
    let twice = Worker::builder(&client, "q").workflow::<CallsNowhere>().workflow::<CallsNowhere>().build();
    let error = twice.expect_err("one workflow is registered twice").to_string();
    assert!(
        error.contains("workflow `CallsNowhere` is registered twice") && error.contains("#[workflow(name"),
        "{error}"
    );
}

#[tokio::test]
async fn a_worker_can_be_stopped_and_another_goes_on() {
    let client = Client::builder("memory:").task_queue("q").await.unwrap();
    let worker = || Worker::builder(&client, "q").workflow::<Doubles>().activity(double).build().unwrap();
    let first = worker();
    let stop = first.shutdown_handle();
    let running = tokio::spawn(first.run());
    let handle = doubles(&client).await;
    assert!(!handle.is_done().await.unwrap());
    stop.shutdown();
    running.await.unwrap().unwrap();
    handle.finish().await.unwrap();
    assert_eq!(worker().run_until(handle.result()).await.unwrap(), 8);
}

#[tokio::test]
async fn run_until_returns_the_error_of_its_story_or_of_its_worker() {
    let client = Client::builder("memory:").task_queue("q").await.unwrap();
    let worker = || Worker::builder(&client, "q").workflow::<Doubles>().activity(double).build().unwrap();

    let story = async {
        client.workflow_handle::<Doubles>("nobody").finish().await?;
        Ok(())
    };
    let failed: Result<(), Box<dyn std::error::Error>> = worker().run_until(story).await;
    assert!(failed.unwrap_err().is::<SignalError>());

    let stopped = worker();
    stopped.shutdown_handle().shutdown();
    let never = std::future::pending::<Result<u32, Box<dyn std::error::Error>>>();
    assert_eq!(
        stopped.run_until(never).await.unwrap_err().to_string(),
        "the worker was shut down before the future that it ran until was done"
    );

    let stopped = worker();
    stopped.shutdown_handle().shutdown();
    let never = client.workflow_handle::<Doubles>("nobody");
    let never = async {
        std::future::pending::<()>().await;
        never.result().await
    };
    assert!(matches!(stopped.run_until(never).await, Err(ResultError::WorkerStopped { .. })));

    worker().run_until(async { assert!(doubles(&client).await.describe().await.is_ok()) }).await.unwrap();
}
