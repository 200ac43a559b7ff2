//! Compares the workflows per second of our server with those of another server.
//!
//! The two servers are measured in the order A B B A, so that a machine that gets slower or faster in between favours neither. Both
//! have the same client, worker and load; the load starts before the measured part begins and stops after it ends. The server that
//! is not measured is idle.

use std::time::Duration;

use clap::Args;
use everloop::Client;
use serde::Serialize;

use crate::cpu::Processes;
use crate::load::{Load, Slice, worker};
use crate::report::{Versions, micros_each, print, rate, rounded};
use crate::server::Server;
use crate::{Error, seconds, some, some_seconds};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The other server.
    #[arg(long, value_name = "HOST:PORT")]
    reference: String,
    /// The other server's process on this machine, whose CPU time is counted too.
    #[arg(long, value_name = "PID")]
    reference_pid: Option<u32>,
    /// The engine's store: `memory:` or `sqlite:FILE`.
    #[arg(long, default_value = "memory:")]
    address: String,
    /// Workflows under way at the same time.
    #[arg(long, default_value_t = 50, value_parser = some())]
    concurrency: usize,
    /// Activities of each workflow, one after the other.
    #[arg(long, default_value_t = 1)]
    activities: u32,
    /// How long each slice is measured. A round has four slices for each of the two comparisons.
    #[arg(long, default_value = "5", value_parser = some_seconds)]
    seconds: Duration,
    /// How long the load runs before each measurement.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    warm_up: Duration,
    /// Number of A B B A rounds.
    #[arg(long, default_value_t = 1, value_parser = some())]
    rounds: usize,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    bench: &'static str,
    comparison: &'static str,
    target: &'a str,
    reference_target: &'a str,
    concurrency: usize,
    activities: u32,
    seconds: f64,
    /// Workflows per second.
    ours: f64,
    reference: f64,
    ratio: f64,
    /// Ratios of each pair of neighbouring slices, in order.
    ratios: Vec<f64>,
    /// Client, worker and engine.
    ours_cpu_us_per_workflow: f64,
    /// Client, worker and, if its process was named, server.
    reference_cpu_us_per_workflow: f64,
    reference_cpu_without_server: bool,
    versions: Versions,
}

/// The measurements of one server.
#[derive(Debug, Default)]
struct Side {
    workflows: usize,
    elapsed: Duration,
    cpu: Duration,
    rates: Vec<f64>,
}

pub(crate) async fn measure(options: Options) -> Result<(), Error> {
    let reference = Peer::connect(&options.reference, options.reference_pid).await?;
    let server = Server::start(&options.address).await?;
    let ours = Peer::connect(&server.address, Some(server.pid)).await?;
    compare("grpc", &server.address, &ours, &reference, &options).await?;
    drop(ours);
    server.stop().await?;
    let ours = Peer::connect(&options.address, None).await?;
    compare("in_process", &options.address, &ours, &reference, &options).await
}

/// A client, and the processes that its calls keep busy.
struct Peer {
    client: Client,
    processes: Processes,
}

impl Peer {
    async fn connect(address: &str, pid: Option<u32>) -> Result<Self, Error> {
        Ok(Self { processes: Processes::new(pid)?, client: Client::connect(address).await? })
    }

    async fn slice(&self, options: &Options, side: &mut Side) -> Result<(), Error> {
        let load = Load::new(&self.client, options.activities);
        let at_edge = || self.processes.used();
        let running = load.run_for(options.concurrency, options.warm_up, options.seconds, at_edge);
        let Slice { count, elapsed, edges: (before, after) } = worker(&self.client)?.run_until(running).await?;
        side.workflows += count;
        side.elapsed += elapsed;
        side.cpu += after - before;
        side.rates.push(count as f64 / elapsed.as_secs_f64());
        Ok(())
    }
}

async fn compare(
    comparison: &'static str,
    target: &str,
    ours: &Peer,
    reference: &Peer,
    options: &Options,
) -> Result<(), Error> {
    let (mut a, mut b) = (Side::default(), Side::default());
    for _ in 0..options.rounds {
        ours.slice(options, &mut a).await?;
        reference.slice(options, &mut b).await?;
        reference.slice(options, &mut b).await?;
        ours.slice(options, &mut a).await?;
    }
    let rates = |side: &Side| rate(side.workflows, side.elapsed);
    print(&Line {
        bench: "compare",
        comparison,
        target,
        reference_target: &options.reference,
        concurrency: options.concurrency,
        activities: options.activities,
        seconds: options.seconds.as_secs_f64(),
        ours: rates(&a),
        reference: rates(&b),
        ratio: rounded(rates(&a) / rates(&b)),
        ratios: a.rates.iter().zip(&b.rates).map(|(ours, reference)| rounded(ours / reference)).collect(),
        ours_cpu_us_per_workflow: micros_each(a.cpu, a.workflows),
        reference_cpu_us_per_workflow: micros_each(b.cpu, b.workflows),
        reference_cpu_without_server: options.reference_pid.is_none(),
        versions: Versions::with_server(&options.reference).await?,
    })
}
