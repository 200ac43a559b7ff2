//! How late do timers fire when there are many, and how much memory do they take?

use std::time::{Duration, Instant};

use clap::Args;
use everloop::Client;
use futures_util::future::try_join_all;
use serde::Serialize;

use crate::memory::{mebibytes, resident_bytes};
use crate::report::{Versions, print, rounded};
use crate::sleeper::{put_to_sleep, worker};
use crate::{Error, some, some_seconds};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The engine's address: `memory:` or `sqlite:FILE`.
    #[arg(long)]
    address: String,
    /// Workflows that sleep at the same time.
    #[arg(long, default_value_t = 1_000, value_parser = some())]
    count: usize,
    /// How long each of them sleeps.
    #[arg(long, default_value = "5", value_parser = some_seconds)]
    seconds: Duration,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    bench: &'a str,
    target: &'a str,
    timers: usize,
    timer_s: f64,
    /// Time from the first start until all have completed.
    all_done_s: f64,
    /// How much of that time was after the last deadline.
    late_ms: f64,
    /// How much the memory of the process had grown when all were asleep.
    memory_added_mib: f64,
    versions: Versions,
}

pub(crate) async fn measure(options: Options) -> Result<(), Error> {
    let Options { address, count, seconds } = &options;
    let client = Client::connect(address).await?;
    let measured = async {
        let (before, since) = (resident_bytes()?, Instant::now());
        let asleep = put_to_sleep(&client, *count, *seconds).await?;
        let (last_due, added) = (Instant::now() + *seconds, resident_bytes()?.saturating_sub(before));
        try_join_all(asleep.iter().map(|sleeper| sleeper.result().into_future())).await?;
        Ok::<_, Error>((since.elapsed(), last_due.elapsed(), added))
    };
    let (all_done, late, added) = worker(&client)?.run_until(measured).await?;
    print(&Line {
        bench: "timers",
        target: address,
        timers: *count,
        timer_s: seconds.as_secs_f64(),
        all_done_s: rounded(all_done.as_secs_f64()),
        late_ms: rounded(late.as_secs_f64() * 1e3),
        memory_added_mib: mebibytes(added),
        versions: Versions::with_server(address).await?,
    })
}
