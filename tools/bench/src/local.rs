//! How long does a local activity take, and what part is that of an activity of a task queue?

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use everloop::prelude::*;
use serde::Serialize;

use crate::load::QUEUE;
use crate::report::{Versions, percentile_ms, print, rounded};
use crate::{Error, some};

/// Activities of one workflow: their markers come with one workflow task.
const EACH: usize = 500;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The engine's address: `memory:`, `sqlite:FILE`, or `http://HOST:PORT` of a server.
    #[arg(long, default_value = "memory:")]
    address: String,
    /// Activities of each kind to measure, one after the other.
    #[arg(long, default_value_t = 10_000, value_parser = some())]
    count: usize,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    bench: &'a str,
    target: &'a str,
    count: usize,
    local_p50_us: f64,
    local_p99_us: f64,
    /// The same of activities of a task queue.
    queued_p50_us: f64,
    queued_p99_us: f64,
    /// How many local activities take as long as one of a task queue, by their medians.
    times_as_fast: f64,
    versions: Versions,
}

/// The beginnings of the activities: from one to the next is a whole activity, with the workflow's step between.
#[derive(Clone, Default)]
pub(crate) struct Beginnings(Arc<Mutex<Vec<Instant>>>);

impl Beginnings {
    /// The times from each activity to the next, sorted.
    pub(crate) fn take(&self) -> Vec<Duration> {
        let begun = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut times: Vec<_> = begun.windows(2).map(|pair| pair[1] - pair[0]).collect();
        times.sort_unstable();
        times
    }
}

#[activities]
impl Beginnings {
    #[activity(start_to_close_timeout = "1m")]
    async fn begin(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
    }
}

#[workflow]
#[derive(Default)]
struct Begins {}

#[workflow]
impl Begins {
    #[run]
    async fn run(&self, count: usize, local: bool) -> WorkflowResult<()> {
        for _ in 0..count {
            match local {
                true => Beginnings::begin().local().await?,
                false => Beginnings::begin().await?,
            }
        }
        Ok(())
    }
}

pub(crate) async fn measure(options: Options) -> Result<(), Error> {
    let Options { address, count } = &options;
    let client = Client::connect(address).await?;
    let versions = Versions::with_server(address).await?;
    let beginnings = Beginnings::default();
    let worker = Worker::builder(&client, QUEUE).workflow::<Begins>().activities(beginnings.clone()).build()?;
    let measured = async {
        let times = async |count: usize, local: bool| {
            let mut times = Vec::new();
            while times.len() < count {
                client.execute(Begins::run(EACH.min(count - times.len()) + 1, local)).task_queue(QUEUE).await?;
                times.extend(beginnings.take());
            }
            times.sort_unstable();
            Ok::<_, Error>(times)
        };
        // The first ones run with cold caches.
        let warm_up = count.div_ceil(10);
        drop((times(warm_up, true).await?, times(warm_up, false).await?));
        Ok::<_, Error>((times(*count, true).await?, times(*count, false).await?))
    };
    let (local, queued) = worker.run_until(measured).await?;
    let us = |times: &[Duration], share| rounded(percentile_ms(times, share) * 1e3);
    print(&Line {
        bench: "local",
        target: address,
        count: *count,
        local_p50_us: us(&local, 0.5),
        local_p99_us: us(&local, 0.99),
        queued_p50_us: us(&queued, 0.5),
        queued_p99_us: us(&queued, 0.99),
        times_as_fast: rounded(us(&queued, 0.5) / us(&local, 0.5)),
        versions,
    })
}
