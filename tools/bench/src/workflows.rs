//! How many workflows per second, and how long does each take?

use std::time::Instant;

use clap::Args;
use everloop::Client;
use serde::Serialize;

use crate::cpu::Processes;
use crate::load::{Load, worker};
use crate::report::{Versions, micros_each, percentile_ms, print, rate, rounded};
use crate::{Error, some};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The engine's address: `memory:`, `sqlite:FILE`, or `http://HOST:PORT` of a server.
    #[arg(long)]
    address: String,
    /// Workflows to measure.
    #[arg(long, default_value_t = 10_000, value_parser = some())]
    count: usize,
    /// Workflows under way at the same time.
    #[arg(long, default_value_t = 50, value_parser = some())]
    concurrency: usize,
    /// Activities of each workflow, one after the other.
    #[arg(long, default_value_t = 1)]
    activities: u32,
    /// Number of workflows to run before, unmeasured; a tenth of the count by default.
    #[arg(long)]
    warm_up: Option<usize>,
    /// The server's process on this machine, whose CPU time is counted too.
    #[arg(long)]
    pid: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    bench: &'a str,
    target: &'a str,
    count: usize,
    concurrency: usize,
    activities: u32,
    workflows_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_s: f64,
    cpu_us_per_workflow: f64,
    /// Whether `cpu_s` is that of client and worker alone, because the server's process was not named.
    cpu_without_server: bool,
    versions: Versions,
}

pub(crate) async fn measure(options: Options) -> Result<(), Error> {
    let Options { address, count, concurrency, activities, warm_up, pid } = &options;
    let is_server = !crate::report::is_in_process(address);
    if !is_server && pid.is_some() {
        return Err(format!("--pid is for servers; the engine of `{address}` is in this process").into());
    }
    let processes = Processes::new(*pid)?;
    let client = Client::connect(address).await?;
    let versions = Versions::with_server(address).await?;
    let load = Load::new(&client, *activities);
    let measured = async {
        load.run(warm_up.unwrap_or(count.div_ceil(10)), *concurrency).await?;
        let (used, since) = (processes.used()?, Instant::now());
        let times = load.run(*count, *concurrency).await?;
        Ok::<_, Error>((times, since.elapsed(), processes.used()? - used))
    };
    let (times, elapsed, cpu) = worker(&client)?.run_until(measured).await?;
    print(&Line {
        bench: "workflows",
        target: address,
        count: *count,
        concurrency: *concurrency,
        activities: *activities,
        workflows_per_s: rate(*count, elapsed),
        p50_ms: percentile_ms(&times, 0.5),
        p99_ms: percentile_ms(&times, 0.99),
        cpu_s: rounded(cpu.as_secs_f64()),
        cpu_us_per_workflow: micros_each(cpu, *count),
        cpu_without_server: is_server && pid.is_none(),
        versions,
    })
}
