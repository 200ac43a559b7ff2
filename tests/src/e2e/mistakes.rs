//! Mistakes are reported where they are made, with advice on what to do. Nothing is lost, and the worker keeps working: each test
//! completes another workflow afterwards.

mod clients;

use everloop::client::{
    ExecuteError, HandleError, ListError, QueryError, ResultError, SignalError, UpdateError, WorkflowStatus,
};
use everloop::data::Payloads;
use everloop::{Client, prelude::*, raw};

use super::{
    warnings,
    world::{World, event, everywhere, run},
};

everywhere! {
    an_unknown_workflow_type,
    input_that_does_not_fit,
    input_that_nobody_can_read,
    an_unknown_activity_type,
    a_worker_without_activities_whose_workflow_calls_some,
    activities_that_are_called_with_something_else,
    a_result_of_another_type,
    an_unknown_signal,
    a_signal_that_does_not_fit,
    queries_and_updates_that_do_not_fit,
    destructors_that_panic,
}

#[activity]
async fn double(number: u32) -> u32 {
    number * 2
}

/// An activity that no worker has.
#[activity(retry_policy(maximum_attempts = 1))]
fn triple(number: u32) -> u32;

/// `double` with a wrong signature.
mod believed {
    use everloop::prelude::*;

    #[activity(name = "double", retry_policy(maximum_attempts = 1))]
    fn double_text(text: String) -> u32;

    #[activity(name = "double", retry_policy(maximum_attempts = 1))]
    fn double_both(one: u32, other: u32) -> u32;

    #[activity(name = "double")]
    fn doubles(number: u32) -> Vec<u32>;

    pub(super) async fn call(how: &str) -> WorkflowResult<u32> {
        Ok(match how {
            "text" => double_text("four".into()).await?,
            "both" => double_both(4, 5).await?,
            "nobody" => super::triple(4).await?,
            _ => doubles(4).await?.len().try_into()?,
        })
    }
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
        self.is_done.wait(|is_done| *is_done).await?;
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

    #[update]
    fn add(&self, amount: u32) -> u32 {
        amount + 1
    }
}

#[workflow]
#[derive(Default)]
struct Calls;

#[workflow]
impl Calls {
    #[run]
    async fn run(&self, how: String) -> WorkflowResult<u32> {
        believed::call(&how).await
    }
}

fn worker(world: &World) -> everloop::worker::WorkerBuilder {
    world.worker().workflow::<Doubles>().workflow::<Calls>().activity(double)
}

async fn doubles(world: &World) -> DoublesHandle {
    world.client.start(Doubles::run(4)).await.unwrap()
}

/// Checks that the worker still works.
async fn completes_another(world: &World) {
    let handle = doubles(world).await;
    handle.finish().await.unwrap();
    assert_eq!(handle.result().await.unwrap(), 8);
}

fn text(text: &str) -> Payloads {
    Payloads::of(&text.to_owned()).unwrap()
}

/// Checks that a message contains all of these parts.
#[track_caller]
fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "`{word}` is not in:\n{message}");
    }
}

async fn an_unknown_workflow_type(world: World) {
    let handle = world.client.start_untyped("Triples", Payloads::of(&4).unwrap()).await.unwrap();
    run(worker(&world), async {
        let timeline = event(&handle, "WorkflowTaskFailed").await.timeline();
        says(
            &timeline,
            &[
                "the workflow type `Triples` is not registered with this worker, where there are: Calls, Doubles",
                "register it, or start it on the task queue of a worker that has it",
            ],
        );
        warnings::about(handle.id(), "the workflow type `Triples` is not registered").await;
        completes_another(&world).await;
    })
    .await;
    // The workflow waits for a worker that has its type.
    assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Running);
    let late = world.worker().workflow::<Triples>();
    assert_eq!(run(late, handle.result::<u32>()).await.unwrap(), 12);
}

#[workflow]
#[derive(Default)]
struct Triples;

#[workflow]
impl Triples {
    #[run]
    async fn run(&self, number: u32) -> WorkflowResult<u32> {
        Ok(number * 3)
    }
}

async fn input_that_does_not_fit(world: World) {
    run(worker(&world), async {
        let mut both = Payloads::of(&4).unwrap();
        both.push(&5).unwrap();
        for (input, problem) in [
            (text("four"), "argument 1 `number`: invalid type: string \"four\", expected u32"),
            (Payloads::new(), "argument 1 `number` is missing: 0 were sent, 1 are expected"),
            (both, "2 arguments were sent, 1 are expected"),
        ] {
            let handle = world.client.start_untyped("Doubles", input).await.unwrap();
            let timeline = event(&handle, "WorkflowTaskFailed").await.timeline();
            says(&timeline, &["the input of workflow `Doubles` does not fit", problem, "deploy code that takes it"]);
            assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Running);
            handle.terminate("it does not fit").await.unwrap();
        }
        completes_another(&world).await;
    })
    .await;
}

async fn input_that_nobody_can_read(world: World) {
    let metadata = [("encoding".to_owned(), b"binary/encrypted".as_slice().into())].into();
    let secret = raw::Payload { metadata, data: b"?".as_slice().into(), ..Default::default() };
    run(worker(&world), async {
        let handle = world.client.start_untyped("Doubles", vec![secret.clone()].into()).await.unwrap();
        let timeline = event(&handle, "WorkflowTaskFailed").await.timeline();
        says(&timeline, &["the encoding `binary/encrypted` is not known", "is the payload codec missing here"]);
        handle.terminate("nobody can read it").await.unwrap();

        let handle = doubles(&world).await;
        let query = handle.untyped().query::<u32>("divide", vec![secret].into()).await;
        let Err(QueryError::Failed(failure)) = query else { panic!("it cannot be read") };
        says(&failure.to_string(), &["argument 1 `by`", "`binary/encrypted` is not known"]);
        handle.finish().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 8);
    })
    .await;
}

/// Returns the error of a call.
async fn call(world: &World, how: &str) -> String {
    match world.client.execute(Calls::run(how.to_owned())).await {
        Err(ExecuteError::Result(ResultError::Failed(failure))) => failure.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn a_worker_without_activities_whose_workflow_calls_some(world: World) {
    let worker = world.worker().workflow::<Doubles>();
    run(worker, async {
        world.client.start(Doubles::run(4)).id(world.id("calls")).await.unwrap();
        let warning = warnings::about(world.queue(), "for activities").await;
        assert!(warning.contains("add `.activity(f)`"), "{warning}");
    })
    .await;
}

async fn an_unknown_activity_type(world: World) {
    run(worker(&world), async {
        says(
            &call(&world, "nobody").await,
            &[
                "the activity type `triple` is not registered with this worker, where there are: double",
                "register it, or call it with the task queue of a worker that has it",
            ],
        );
        completes_another(&world).await;
    })
    .await;
}

async fn activities_that_are_called_with_something_else(world: World) {
    run(worker(&world), async {
        says(&call(&world, "text").await, &["activity `double`", "argument 1 `number`: invalid type: string \"four\""]);
        says(&call(&world, "both").await, &["activity `double`", "2 arguments were sent, 1 are expected"]);
        says(
            &call(&world, "list").await,
            &[
                "activity `double`: the activity's result does not fit",
                "the result: invalid type: integer `8`, expected a sequence",
            ],
        );
        completes_another(&world).await;
    })
    .await;
}

async fn a_result_of_another_type(world: World) {
    run(worker(&world), async {
        let handle = doubles(&world).await;
        handle.finish().await.unwrap();
        let untyped = handle.untyped();
        let error = untyped.result::<String>().await.unwrap_err();
        assert!(matches!(error, ResultError::Decode { .. }));
        says(
            &error.to_string(),
            &[
                &format!("workflow `{}` returned something else than was asked for", handle.id()),
                "the result: invalid type: integer `8`, expected a string",
            ],
        );
        let error = untyped.query::<Vec<u8>>("is_done", Payloads::new()).await.unwrap_err();
        assert!(matches!(error, QueryError::Decode { .. }));
        says(&error.to_string(), &[handle.id(), "answered something else than was asked for", "boolean `true`"]);
        // The result still exists.
        assert_eq!(handle.result().await.unwrap(), 8);
        completes_another(&world).await;
    })
    .await;
}

async fn an_unknown_signal(world: World) {
    run(worker(&world), async {
        let handle = doubles(&world).await;
        handle.untyped().signal("undo", text("five")).await.unwrap();
        let warning = warnings::about(handle.id(), "undo").await;
        says(
            &warning,
            &[
                "there is no handler for the signal `undo`; there are: finish",
                "it stays in the history, for code that has one",
            ],
        );
        handle.finish().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 8);
        says(&handle.history().await.unwrap().timeline(), &["WorkflowExecutionSignaled        undo"]);
        completes_another(&world).await;
    })
    .await;
}

async fn a_signal_that_does_not_fit(world: World) {
    run(worker(&world), async {
        let handle = doubles(&world).await;
        handle.untyped().signal("finish", text("five")).await.unwrap();
        let warning = warnings::about(handle.id(), "finish").await;
        says(
            &warning,
            &[
                "the signal `finish` was passed over: 1 arguments were sent, 0 are expected",
                "send it again with what fits",
            ],
        );
        assert!(!handle.is_done().await.unwrap());
        handle.finish().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 8);
    })
    .await;
}

async fn queries_and_updates_that_do_not_fit(world: World) {
    run(worker(&world), async {
        let handle = doubles(&world).await;
        let untyped = handle.untyped();
        let query = async |name: &str, input| match untyped.query::<u32>(name, input).await {
            Err(QueryError::Failed(failure)) => failure.to_string(),
            other => panic!("{other:?}"),
        };
        says(&query("how_far", Payloads::new()).await, &["there is no query `how_far`; there are: divide, is_done"]);
        says(&query("divide", text("five")).await, &["argument 1 `by`: invalid type: string \"five\""]);
        let update = async |name: &str, input| match untyped.update::<u32>(name, input).await {
            Err(UpdateError::Failed(failure)) => failure.to_string(),
            other => panic!("{other:?}"),
        };
        says(&update("subtract", Payloads::of(&1).unwrap()).await, &["there is no update `subtract`; there are: add"]);
        says(&update("add", text("five")).await, &["argument 1 `amount`: invalid type: string \"five\""]);
        let Err(UpdateError::Decode { cause, .. }) = untyped.update::<String>("add", Payloads::of(&1).unwrap()).await
        else {
            panic!("it is a number")
        };
        says(&cause.to_string(), &["invalid type: integer `2`, expected a string"]);
        handle.finish().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 8);
    })
    .await;
}

/// Panics when it is dropped, after it has read the time.
#[derive(Default)]
struct Audit;

impl Drop for Audit {
    fn drop(&mut self) {
        let (time, id) = (workflow::now(), workflow::info().workflow_id.clone());
        if !std::thread::panicking() {
            panic!("the audit of {id} fails at {time:?}");
        }
    }
}

#[workflow]
#[derive(Default)]
struct Audited {
    is_done: State<bool>,
    _audit: Audit,
}

#[workflow]
impl Audited {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        self.is_done.wait(|is_done| *is_done).await?;
        Ok(5)
    }

    #[signal]
    fn finish(&self) {
        self.is_done.set(true);
    }

    #[query]
    fn is_done(&self) -> bool {
        self.is_done.get()
    }
}

async fn destructors_that_panic(world: World) {
    // Runs are evicted all the time: a worker must not lose a thread by it.
    let worker = worker(&world).workflow::<Audited>().max_cached_workflows(1).workflow_threads(1);
    run(worker, async {
        let mut handles = Vec::new();
        for _ in 0..8 {
            let handle = world.client.start(Audited::run()).await.unwrap();
            assert!(!handle.is_done().await.unwrap());
            handles.push(handle);
        }
        for handle in handles {
            handle.finish().await.unwrap();
            assert_eq!(handle.result().await.unwrap(), 5);
        }
    })
    .await;
}
