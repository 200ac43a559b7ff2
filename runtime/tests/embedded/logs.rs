//! What workflows and activities log says whose it is.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use everloop::data::ErrorCategory;
use everloop::prelude::*;
use everloop::testing::WorkflowEnvironment;
use everloop::worker::WorkerError;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

thread_local! {
    /// The spans that the thread is in.
    static ENTERED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Keeps each event of this module with the fields of the spans around it.
#[derive(Clone, Default)]
struct Listener {
    spans: Arc<Mutex<Vec<String>>>,
    events: Arc<Mutex<Vec<(String, String)>>>,
    /// The levels at which the worker logged failed attempts.
    failed_attempts: Arc<Mutex<Vec<Level>>>,
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text(format!("{} ", span.metadata().name()));
        span.record(&mut text);
        let mut spans = self.spans.lock().unwrap();
        spans.push(text.0);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        if text.0.contains("message=an activity attempt failed") {
            self.failed_attempts.lock().unwrap().push(*event.metadata().level());
        }
        if event.metadata().target() != module_path!() {
            return;
        }
        let spans = self.spans.lock().unwrap();
        let around = ENTERED.with_borrow(|entered| entered.iter().map(|span| spans[*span].as_str()).collect());
        self.events.lock().unwrap().push((text.0, around));
    }

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.into_u64() as usize - 1));
    }

    fn exit(&self, _: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.pop());
    }
}

#[activity(start_to_close_timeout = "1m")]
async fn told() -> ActivityResult<()> {
    tracing::info!("async activity");
    Ok(())
}

#[workflow]
#[derive(Default)]
struct Tells {}

#[workflow]
impl Tells {
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        tracing::info!("workflow begins");
        told().await?;
        tracing::info!("workflow ends");
        Ok(())
    }
}

#[tokio::test]
async fn log_lines_carry_the_run_and_appear_once() {
    let listener = Listener::default();
    let _listening = tracing::subscriber::set_default(listener.clone());
    let client = Client::builder("memory:").task_queue("logs").await.unwrap();
    // Without a cache each task replays.
    let worker = Worker::builder(&client, "logs").workflow::<Tells>().activity(told).max_cached_workflows(0);
    let run_id = worker
        .build()
        .unwrap()
        .run_until(async {
            let handle = client.start(Tells::run()).id("tells").await.unwrap();
            handle.result().await.unwrap();
            Ok::<_, WorkerError>(handle.run_id().unwrap().to_owned())
        })
        .await
        .unwrap();
    let events = listener.events.lock().unwrap().clone();
    let of_run = format!("namespace=\"default\" workflow_id=\"tells\" run_id=\"{run_id}\" workflow_type=\"Tells\"");
    let workflow = format!("workflow {of_run} attempt=1 ");
    let activity = format!("activity {of_run} activity_type=\"told\" activity_id=\"1\" attempt=1 ");
    let expected = [
        ("message=workflow begins ", &workflow),
        ("message=async activity ", &activity),
        ("message=workflow ends ", &workflow),
    ];
    let seen: Vec<_> = events.iter().map(|(event, spans)| (event.as_str(), spans)).collect();
    assert_eq!(seen, expected);
}

/// Fails in two ways before it returns.
#[activity(start_to_close_timeout = "1m")]
async fn third_time_lucky(ctx: &ActivityContext) -> ActivityResult<()> {
    match ctx.info().attempt {
        1 => Err(ActivityError::new("nothing yet").category(ErrorCategory::Benign)),
        2 => Err(ActivityError::new("broken")),
        _ => Ok(()),
    }
}

#[workflow]
#[derive(Default)]
struct Tries {}

#[workflow]
impl Tries {
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        Ok(third_time_lucky().await?)
    }
}

#[tokio::test]
async fn expected_errors_are_not_logged_as_warnings() {
    let listener = Listener::default();
    let _listening = tracing::subscriber::set_default(listener.clone());
    let client = Client::builder("memory:?clock=skipping").task_queue("logs").await.unwrap();
    let worker = Worker::builder(&client, "logs").workflow::<Tries>().activity(third_time_lucky).build().unwrap();
    let tried = worker.run_until(async { Ok::<_, Box<dyn Error>>(client.execute(Tries::run()).await?) });
    tried.await.unwrap();
    assert_eq!(*listener.failed_attempts.lock().unwrap(), [Level::DEBUG, Level::WARN]);
}

/// Is registered with no worker.
#[activity(retry_policy(maximum_attempts = 5))]
async fn unknown() {}

#[workflow]
#[derive(Default)]
struct CallsUnknown {}

#[workflow]
impl CallsUnknown {
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        Ok(unknown().await?)
    }
}

#[tokio::test]
async fn an_activity_that_is_not_registered_is_one_warning() {
    let listener = Listener::default();
    let _listening = tracing::subscriber::set_default(listener.clone());
    let client = Client::builder("memory:?clock=skipping").task_queue("logs").await.unwrap();
    let worker = Worker::builder(&client, "logs").workflow::<CallsUnknown>().activity(told).build().unwrap();
    let called = worker.run_until(async { Ok::<_, WorkerError>(client.execute(CallsUnknown::run()).await) });
    let error = called.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("the activity type `unknown` is not registered"), "{error}");
    let levels = listener.failed_attempts.lock().unwrap().clone();
    assert_eq!(levels, [Level::WARN, Level::DEBUG, Level::DEBUG, Level::DEBUG, Level::DEBUG]);
}

/// Hears this module in all threads that have no listener of their own: the replay checks begin threads.
#[derive(Clone, Default)]
struct Everywhere(Arc<Mutex<Vec<String>>>);

impl Subscriber for Everywhere {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == module_path!()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[workflow]
#[derive(Default)]
struct Watched {}

#[workflow]
impl Watched {
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        tracing::info!("begins");
        sleep(Duration::from_secs(24 * 3600)).await?;
        tracing::info!("wakes");
        sleep(Duration::from_secs(24 * 3600)).await?;
        tracing::info!("ends");
        Ok(())
    }

    #[query]
    fn is_watched(&self) -> bool {
        tracing::info!("queried");
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_under_test_appear_once_and_in_each_query() {
    let everywhere = Everywhere::default();
    tracing::subscriber::set_global_default(everywhere.clone()).unwrap();
    for cached in [0, 10] {
        let env = WorkflowEnvironment::start().await.unwrap();
        let worker = env.worker("logs").workflow::<Watched>().max_cached_workflows(cached).build().unwrap();
        let story = async {
            let watched = env.client().start(Watched::run()).await.unwrap();
            assert!(watched.is_watched().await.unwrap());
            watched.result().await.unwrap();
            assert!(watched.is_watched().await.unwrap());
        };
        worker.run_until(story).await.unwrap();
        let seen = std::mem::take(&mut *everywhere.0.lock().unwrap());
        let expected = ["begins", "queried", "wakes", "ends", "queried"].map(|event| format!("message={event} "));
        assert_eq!(seen, expected, "with {cached} cached workflows");
    }
}
