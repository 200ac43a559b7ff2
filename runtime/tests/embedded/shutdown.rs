//! A worker that stops: the tasks that are on their way to it, and those that wait for a thread.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use everloop::prelude::*;
use everloop::worker::{ActivityAttempt, NextActivity, WorkerError, WorkerInterceptor};
use everloop::{RetryPolicy, raw};
use everloop_server::{ClockMode, Engine};
use http::{Request, Response};
use tokio::sync::Notify;
use tonic::body::Body;
use tower::{Service, service_fn};

#[activity(start_to_close_timeout = "1m")]
async fn greet(name: String) -> ActivityResult<String> {
    Ok(format!("hello {name}"))
}

#[workflow]
#[derive(Default)]
struct Greets {}

#[workflow]
impl Greets {
    #[run]
    async fn run(&self) -> WorkflowResult<String> {
        Ok(greet("you".to_owned()).await?)
    }
}

/// Holds the responses of one method back until the server knows that the worker stops.
#[derive(Clone, Default)]
struct Late {
    /// A response is held.
    held: Arc<Notify>,
    stopped: Arc<AtomicBool>,
}

impl Late {
    async fn client(&self, engine: &Engine, method: &'static str) -> Client {
        let (late, server) = (self.clone(), engine.workflow_service());
        let service = service_fn(move |request: Request<Body>| {
            let (late, mut server) = (late.clone(), server.clone());
            async move {
                let called = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
                let response: Result<Response<Body>, Infallible> = server.call(request).await;
                if called == "ShutdownWorker" {
                    late.stopped.store(true, Ordering::SeqCst);
                } else if called == method {
                    late.held.notify_one();
                    late.wait_for_stop().await;
                }
                response
            }
        });
        Client::builder("http://late:7233").service(service).task_queue("late").await.unwrap()
    }

    async fn wait_for_stop(&self) {
        while !self.stopped.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        // The worker goes on with its end meanwhile, as far as it goes.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

/// The history of a run whose worker stops while a response with one of its tasks is on its way.
async fn history_after_stop_during(method: &'static str) -> Vec<String> {
    let engine = Engine::memory(ClockMode::Real).unwrap();
    let late = Late::default();
    let client = late.client(&engine, method).await;
    let worker = Worker::builder(&client, "late").workflow::<Greets>().activity(greet).eager_activities(false);
    let worker = worker.build().unwrap();
    let stop = worker.shutdown_handle();
    let handle = client.start(Greets::run()).await.unwrap();
    let running = tokio::spawn(worker.run());
    late.held.notified().await;
    stop.shutdown();
    running.await.unwrap().unwrap();
    handle.history().await.unwrap().event_names().collect()
}

#[tokio::test]
async fn a_workflow_task_on_its_way_when_the_worker_stops_is_completed() {
    let history = history_after_stop_during("PollWorkflowTaskQueue").await;
    assert!(history.iter().any(|event| event == "WorkflowTaskCompleted"), "{history:?}");
}

#[tokio::test]
async fn an_activity_on_its_way_when_the_worker_stops_is_run() {
    let history = history_after_stop_during("PollActivityTaskQueue").await;
    assert!(history.iter().any(|event| event == "ActivityTaskCompleted"), "{history:?}");
}

/// Blocking activities on a worker that has one thread for them.
#[derive(Clone, Default)]
struct Threads {
    occupied: Arc<Notify>,
    release: Arc<AtomicBool>,
    /// The worker has the activity that waits for the thread.
    waits: Arc<Notify>,
    /// The worker has ended the attempt that expired.
    expired: Arc<Notify>,
    late: Arc<AtomicU32>,
}

impl WorkerInterceptor for Threads {
    async fn activity(
        &self,
        attempt: ActivityAttempt<'_>,
        next: NextActivity<'_>,
    ) -> Result<raw::Payload, ActivityError> {
        let info = attempt.info;
        if info.activity_type == "count_patiently" {
            self.waits.notify_one();
        }
        let result = next.run(attempt).await;
        if info.activity_type == "count" {
            self.expired.notify_one();
        }
        result
    }
}

#[activities]
impl Threads {
    /// Keeps the only thread until the test or the worker ends it.
    #[activity(start_to_close_timeout = "1m")]
    fn occupy(&self, ctx: &ActivityContext) -> ActivityResult<()> {
        self.occupied.notify_one();
        while !self.release.load(Ordering::SeqCst) && !ctx.is_cancelled() {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Counts how often it begins.
    #[activity(start_to_close_timeout = "50ms")]
    fn count(&self) -> ActivityResult<()> {
        self.late.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    #[activity(start_to_close_timeout = "1m")]
    fn count_patiently(&self) -> ActivityResult<()> {
        self.late.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    #[activity(start_to_close_timeout = "1m")]
    fn last(&self) -> ActivityResult<()> {
        Ok(())
    }
}

#[workflow]
#[derive(Default)]
struct Occupies {}

#[workflow]
impl Occupies {
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        Ok(Threads::occupy().await?)
    }
}

#[workflow]
#[derive(Default)]
struct Counts {}

#[workflow]
impl Counts {
    #[run]
    async fn run(&self, patiently: bool) -> WorkflowResult<()> {
        let once = RetryPolicy::new().maximum_attempts(1);
        if patiently {
            Threads::count_patiently().retry_policy(once).await?;
        } else {
            Threads::count().retry_policy(once).await?;
        }
        Ok(())
    }
}

#[workflow]
#[derive(Default)]
struct Lasts {}

#[workflow]
impl Lasts {
    #[run]
    async fn run(&self) -> WorkflowResult<()> {
        Ok(Threads::last().await?)
    }
}

async fn one_thread() -> (Client, Threads, Worker) {
    let client = Client::builder("memory:").task_queue("threads").await.unwrap();
    let threads = Threads::default();
    let worker = Worker::builder(&client, "threads")
        .workflow::<Occupies>()
        .workflow::<Counts>()
        .workflow::<Lasts>()
        .activities(threads.clone())
        .interceptor(threads.clone())
        .max_concurrent_blocking_activities(1)
        .build()
        .unwrap();
    (client, threads, worker)
}

#[tokio::test]
async fn a_blocking_activity_that_expired_while_it_waited_for_a_thread_does_not_begin() {
    let (client, threads, worker) = one_thread().await;
    worker
        .run_until(async {
            let first = client.start(Occupies::run()).await.unwrap();
            threads.occupied.notified().await;
            let expired = client.execute(Counts::run(false)).await.unwrap_err();
            assert!(
                expired.to_string().contains("did not begin") || expired.to_string().contains("StartToClose"),
                "{expired}"
            );
            // The engine's clock may be a little ahead of the worker's.
            threads.expired.notified().await;
            threads.release.store(true, Ordering::SeqCst);
            first.result().await.unwrap();
            // It waits in the same line, behind the one that expired.
            client.execute(Lasts::run()).await.unwrap();
            assert_eq!(threads.late.load(Ordering::SeqCst), 0, "its workflow has given it up");
            Ok::<_, WorkerError>(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_blocking_activity_that_waits_for_a_thread_does_not_begin_when_the_worker_stops() {
    let (client, threads, worker) = one_thread().await;
    let stop = worker.shutdown_handle();
    let running = tokio::spawn(worker.run());
    client.start(Occupies::run()).await.unwrap();
    threads.occupied.notified().await;
    let waits = client.start(Counts::run(true)).await.unwrap();
    threads.waits.notified().await;
    stop.shutdown();
    running.await.unwrap().unwrap();
    assert_eq!(threads.late.load(Ordering::SeqCst), 0, "the thread became free after the worker's end");
    let described = waits.describe().await.unwrap();
    assert_eq!(described.pending_activities().count(), 0, "the server knows that the attempt has ended");
}
