//! The load: a workflow of some activities, and clients that each wait for one workflow before they start the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use everloop::prelude::*;
use everloop::workflow::Uuid;
use futures_util::future::{try_join, try_join_all};
use tokio::sync::watch;

use crate::Error;

/// The task queue of the load.
pub(crate) const QUEUE: &str = "bench";

/// Adds one to its argument: the smallest possible activity.
#[activity(start_to_close_timeout = "1m")]
pub(crate) async fn step(done: u32) -> ActivityResult<u32> {
    Ok(done + 1)
}

/// Runs the activities, one after the other.
#[workflow]
#[derive(Default)]
pub(crate) struct Steps {}

#[workflow]
impl Steps {
    #[run]
    async fn run(&self, activities: u32) -> WorkflowResult<u32> {
        let mut done = 0;
        for _ in 0..activities {
            done = step(done).await?;
        }
        Ok(done)
    }
}

/// Builds a worker for the load, with default options.
pub(crate) fn worker(client: &Client) -> Result<Worker, Error> {
    Ok(Worker::builder(client, QUEUE).workflow::<Steps>().activity(step).build()?)
}

/// A closed loop of clients.
#[derive(Clone)]
pub(crate) struct Load {
    client: Client,
    activities: u32,
    /// Distinguishes the workflow ids of this process from those of earlier ones, on a server that outlives them.
    prefix: Arc<str>,
    started: Arc<AtomicUsize>,
    ended: Arc<watch::Sender<usize>>,
}

impl Load {
    pub(crate) fn new(client: &Client, activities: u32) -> Self {
        let prefix = format!("bench-{}", Uuid::new_v4().simple()).into();
        Self { client: client.clone(), activities, prefix, started: Arc::default(), ended: Arc::default() }
    }

    /// Runs `count` workflows, `concurrency` at a time. Returns the time of each from its start to its result, sorted.
    pub(crate) async fn run(&self, count: usize, concurrency: usize) -> Result<Vec<Duration>, Error> {
        let left = Arc::new(AtomicUsize::new(count));
        self.repeat(concurrency, move || {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        })
        .await
    }

    /// Keeps `concurrency` workflows running for `warm_up` and then for `measured`, and until one has ended. Returns how many
    /// ended in the second part, and the results of `at_edge` at its start and at its end.
    pub(crate) async fn run_for<T>(
        &self,
        concurrency: usize,
        warm_up: Duration,
        measured: Duration,
        at_edge: impl Fn() -> Result<T, Error>,
    ) -> Result<Slice<T>, Error> {
        let stopping = Arc::new(AtomicBool::new(false));
        let load = self.repeat(concurrency, {
            let stopping = stopping.clone();
            move || !stopping.load(Ordering::Relaxed)
        });
        let edges = async {
            let mut ended = self.ended.subscribe();
            tokio::time::sleep(warm_up).await;
            let (first, begun, since) = (*ended.borrow(), at_edge()?, Instant::now());
            tokio::time::sleep(measured).await;
            let last = *ended.wait_for(|ended| *ended > first).await?;
            let slice = Slice { count: last - first, elapsed: since.elapsed(), edges: (begun, at_edge()?) };
            stopping.store(true, Ordering::Relaxed);
            Ok(slice)
        };
        let (_, slice) = try_join(load, edges).await?;
        Ok(slice)
    }

    /// Runs workflows on each of the clients as long as `next` returns true. Returns their times, sorted.
    async fn repeat(
        &self,
        concurrency: usize,
        next: impl Fn() -> bool + Clone + Send + 'static,
    ) -> Result<Vec<Duration>, Error> {
        let clients = (0..concurrency).map(|_| {
            let (load, next) = (self.clone(), next.clone());
            let client = tokio::spawn(async move {
                let mut times = Vec::new();
                while next() {
                    times.push(load.one().await?);
                }
                Ok::<_, Error>(times)
            });
            async { client.await? }
        });
        let mut times = try_join_all(clients).await?.concat();
        times.sort_unstable();
        Ok(times)
    }

    /// Runs one workflow from its start to its result, and checks the result.
    async fn one(&self) -> Result<Duration, Error> {
        let id = format!("{}-{}", self.prefix, self.started.fetch_add(1, Ordering::Relaxed));
        let since = Instant::now();
        let done = self.client.execute(Steps::run(self.activities)).id(id.as_str()).task_queue(QUEUE).await?;
        let elapsed = since.elapsed();
        if done != self.activities {
            return Err(format!("{id} ran {} activities but returned {done}", self.activities).into());
        }
        self.ended.send_modify(|ended| *ended += 1);
        Ok(elapsed)
    }
}

/// The measured part of a load that ran before and after it.
#[derive(Debug)]
pub(crate) struct Slice<T> {
    /// Workflows that ended.
    pub(crate) count: usize,
    pub(crate) elapsed: Duration,
    pub(crate) edges: (T, T),
}
