//! Output: violations and progress for people, the last lines for programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tempfile::TempDir;

use crate::Error;

/// The last line after kills.
#[derive(Debug, Serialize)]
pub(crate) struct KillsLine {
    pub(crate) kills: u64,
    /// Kills in the middle of a commit.
    pub(crate) in_commit: u64,
    pub(crate) acknowledged: u64,
    /// How often the body of an activity with a maximum of attempts has begun.
    pub(crate) bounded_attempts: u64,
    pub(crate) violations: u64,
    pub(crate) seed: u64,
    /// From the start of the process to the first task that a worker got over gRPC, if one was pending.
    pub(crate) restart_ms_p50: Option<f64>,
    pub(crate) restart_ms_max: Option<f64>,
}

/// The last line after power losses.
#[derive(Debug, Serialize)]
pub(crate) struct PowerLine {
    pub(crate) power_losses: u64,
    pub(crate) acknowledged: u64,
    /// Writes of which a part reached the disk, in all power losses.
    pub(crate) torn: u64,
    /// Writes of which no part reached the disk.
    pub(crate) dropped: u64,
    pub(crate) violations: u64,
    pub(crate) seed: u64,
}

pub(crate) fn print(line: &impl Serialize) -> Result<(), Error> {
    println!("{}", serde_json::to_string(line)?);
    Ok(())
}

/// Returns the median and the maximum, in milliseconds.
pub(crate) fn median_and_max_ms(mut times: Vec<Duration>) -> (Option<f64>, Option<f64>) {
    times.sort_unstable();
    let ms = |time: Option<&Duration>| time.map(|time| (time.as_secs_f64() * 10_000.0).round() / 10.0);
    (ms(times.get(times.len() / 2)), ms(times.last()))
}

/// Prints the violations, and the folder with the evidence.
pub(crate) fn violations(during: &str, wrong: &[String], kept: &Path) {
    for what in wrong {
        eprintln!("everloop-crash: violation: {what}");
    }
    eprintln!("everloop-crash: {} violations during {during}; kept in {}", wrong.len(), kept.display());
}

/// Creates a folder to keep the evidence of a failure in.
pub(crate) fn keep(folder: TempDir) -> PathBuf {
    folder.keep()
}

/// Writes files into the folder.
pub(crate) fn save<'a>(folder: &Path, files: impl Iterator<Item = (&'a str, Vec<u8>)>) -> Result<(), Error> {
    for (name, bytes) in files {
        let name = Path::new(name).file_name().ok_or("a file without a name")?;
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
