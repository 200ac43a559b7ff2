//! `everloop-bench`: measurements, each command for one question. Each command prints JSON objects, one per line.

mod children;
mod compare;
mod cpu;
mod load;
mod local;
mod memory;
mod reopen;
mod replay;
mod report;
mod scripted;
mod server;
mod sleeper;
mod tasks;
mod timers;
mod workflows;

use std::error::Error as StdError;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use clap::builder::RangedU64ValueParser;

/// Any error that ends a measurement early.
type Error = Box<dyn StdError + Send + Sync>;

/// Measures Everloop; every command prints JSON objects, one a line.
///
/// Figures of a debug build mean nothing: run it with `cargo run --release`.
#[derive(Debug, Parser)]
#[command(name = "everloop-bench", version)]
enum Arguments {
    /// How many workflows a second, and how long does each take?
    Workflows(workflows::Options),
    /// How fast do histories replay, and does it depend on their length?
    Replay(replay::Options),
    /// What does a workflow task cost in the worker? No engine and no network.
    Tasks(tasks::Options),
    /// How long does a child workflow take, and how many end in a second when many are started?
    Children(children::Options),
    /// How long does a local activity take, and how many times as long one of a task queue?
    Local(local::Options),
    /// How late are many timers, and what memory do they take?
    Timers(timers::Options),
    /// How long does it take to open a file with many open runs again, after its process was lost?
    Reopen(reopen::Options),
    /// How many times the workflows a second of another server?
    Compare(compare::Options),
    /// Our server, for the other commands, until the standard input ends.
    #[command(hide = true)]
    Serve(server::Options),
    /// Makes a file with open runs, for `reopen`.
    #[command(hide = true)]
    Fill(reopen::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let measured = match Arguments::parse() {
        Arguments::Workflows(options) => workflows::measure(options).await,
        Arguments::Replay(options) => replay::measure(options).await,
        Arguments::Tasks(options) => tasks::measure(options).await,
        Arguments::Children(options) => children::measure(options).await,
        Arguments::Local(options) => local::measure(options).await,
        Arguments::Compare(options) => compare::measure(options).await,
        Arguments::Timers(options) => timers::measure(options).await,
        Arguments::Reopen(options) => reopen::measure(options).await,
        Arguments::Fill(options) => reopen::fill(options).await,
        Arguments::Serve(options) => server::serve(options).await,
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("everloop-bench: {}", explained(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Formats the error with its causes, on one line.
fn explained(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Parses a number of things to measure, at least one.
fn some() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// Parses a time in seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "write seconds, such as `5` or `0.5`".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// Parses a time to measure for, which is not zero.
fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("in no time nothing can be measured".to_owned()),
        time => Ok(time),
    }
}
