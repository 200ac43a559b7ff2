//! How long does it take to open a file with many open runs again, after its process was lost?

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

/// Nobody waits that long here.
const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file to make; there must be none.
    #[arg(long)]
    file: PathBuf,
    /// Runs that sleep in it for a day.
    #[arg(long, value_parser = some())]
    open: usize,
}

#[derive(Debug, Serialize)]
struct Line {
    bench: &'static str,
    open: usize,
    file_mib: f64,
    /// Until the engine takes calls and every timer is set.
    ready_ms: f64,
    /// Until a workflow that was started then has its result.
    first_result_ms: f64,
    /// What the process had more when it was ready.
    memory_added_mib: f64,
    versions: Versions,
}

pub(crate) async fn measure(options: Options) -> Result<(), Error> {
    let Options { file, open } = options;
    if file.exists() {
        return Err(format!("{} is there already: name a file to be made", file.display()).into());
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

/// Makes the file, and ends as a process does that is killed.
pub(crate) async fn fill(options: Options) -> Result<(), Error> {
    let Options { file, open } = options;
    let client = Client::connect(address(&file)?).await?;
    worker(&client)?.run_until(put_to_sleep(&client, open, DAY)).await?;
    // Nothing is closed.
    std::process::exit(0);
}

fn address(file: &std::path::Path) -> Result<String, Error> {
    let file = file.to_str().ok_or_else(|| format!("{} is no text", file.display()))?;
    Ok(format!("sqlite:{file}"))
}
