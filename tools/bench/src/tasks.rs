//! What does a workflow task cost in the worker?

use std::time::Instant;

use clap::Args;
use everloop::{Client, Worker};
use serde::Serialize;

use crate::cpu::Processes;
use crate::load::{QUEUE, Steps};
use crate::report::{Versions, micros_each, print, rate};
use crate::scripted::Scripted;
use crate::{Error, some};

/// Tasks of a run: one schedules an activity, the other takes its result and completes the workflow.
const TASKS_EACH: usize = 2;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Workflow tasks to measure, two for each workflow.
    #[arg(long, default_value_t = 100_000, value_parser = some())]
    count: usize,
    /// Workflows under way at the same time.
    #[arg(long, default_value_t = 50, value_parser = some())]
    concurrency: usize,
}

#[derive(Debug, Serialize)]
struct Line {
    bench: &'static str,
    tasks: usize,
    concurrency: usize,
    tasks_per_s: f64,
    /// CPU time of the whole process, including the scripted server.
    cpu_us_per_task: f64,
    versions: Versions,
}

pub(crate) async fn measure(options: Options) -> Result<(), Error> {
    let Options { count, concurrency } = options;
    let runs = count.div_ceil(TASKS_EACH);
    // The first tasks run with cold caches.
    run(runs.div_ceil(10), concurrency).await?;
    let processes = Processes::new([])?;
    let (used, since) = (processes.used()?, Instant::now());
    run(runs, concurrency).await?;
    let (elapsed, cpu) = (since.elapsed(), processes.used()? - used);
    print(&Line {
        bench: "tasks",
        tasks: runs * TASKS_EACH,
        concurrency,
        tasks_per_s: rate(runs * TASKS_EACH, elapsed),
        cpu_us_per_task: micros_each(cpu, runs * TASKS_EACH),
        versions: Versions::ours(),
    })
}

async fn run(runs: usize, concurrency: usize) -> Result<(), Error> {
    let service = Scripted::new(runs, concurrency);
    let client = Client::builder("memory:").service(service.clone()).connect().await?;
    let worker = Worker::builder(&client, QUEUE).workflow::<Steps>().build()?;
    worker.run_until(async { Ok(service.ended().await?) }).await
}
