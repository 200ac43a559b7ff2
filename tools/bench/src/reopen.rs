//! How long does it take to reopen a file with many open runs, after its process was killed?

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use everloop::Client;
use serde::Serialize;
use tokio::process::Command;

use crate::load::QUEUE;
use crate::memory::{mebibytes, resident_bytes};
use crate::report::{Versions, print, rounded};
use crate::sleeper::{Sleeper, put_to_sleep, worker};
use crate::{Error, some};

/// A sleep longer than any measurement.
const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file to create; it must not exist.
    #[arg(long)]
    file: PathBuf,
    /// Number of runs in the file, each of which sleeps for a day.
    #[arg(long, value_parser = some())]
    open: usize,
}

#[derive(Debug, Serialize)]
struct Line {
    bench: &'static str,
    open: usize,
    file_mib: f64,
    /// Time until the engine accepts calls and every timer is set.
    ready_ms: f64,
    /// Time until a workflow that was started then has its result.
    first_result_ms: f64,
    /// How much the memory of the process had grown when it was ready.
    memory_added_mib: f64,
    versions: Versions,
}

pub(crate) async fn measure(options: Options) -> Result<(), Error> {
    let Options { file, open } = options;
    if file.exists() {
        return Err(format!("{} exists already: name a new file", file.display()).into());
    }
    let mut fill = Command::new(env::current_exe()?);
    let filled = fill.arg("fill").arg("--file").arg(&file).args(["--open", &open.to_string()]).status().await?;
    if !filled.success() {
        return Err(format!("the process that fills the file failed: {filled}").into());
    }
    let before = resident_bytes()?;
    let since = Instant::now();
    let client = Client::connect(address(&file)?).await?;
    let ready = since.elapsed();
    let added = resident_bytes()?.saturating_sub(before);
    worker(&client)?.run_until(client.execute(Sleeper::run(Duration::ZERO)).task_queue(QUEUE)).await?;
    print(&Line {
        bench: "reopen",
        open,
        file_mib: mebibytes(file.metadata()?.len()),
        ready_ms: rounded(ready.as_secs_f64() * 1e3),
        first_result_ms: rounded(since.elapsed().as_secs_f64() * 1e3),
        memory_added_mib: mebibytes(added),
        versions: Versions::ours(),
    })
}

/// Creates the file, and ends without closing it, like a process that is killed.
pub(crate) async fn fill(options: Options) -> Result<(), Error> {
    let Options { file, open } = options;
    let client = Client::connect(address(&file)?).await?;
    worker(&client)?.run_until(put_to_sleep(&client, open, DAY)).await?;
    // The engine and the file are left open on purpose.
    std::process::exit(0);
}

fn address(file: &std::path::Path) -> Result<String, Error> {
    let file = file.to_str().ok_or_else(|| format!("{} is no text", file.display()))?;
    Ok(format!("sqlite:{file}"))
}
