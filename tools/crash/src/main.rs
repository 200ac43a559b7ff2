//! `everloop-crash`: kills the engine's process and cuts the power of its disk, again and again, and compares the recovered state
//! with the acknowledged changes.
//!
//! All random choices come from the seed: the load, the time of each kill, the outcome of a power loss. The interleaving of threads
//! does not, so a failed seed may need several tries to reproduce; the database of the failure is kept.

mod calls;
mod child;
mod coded;
mod entry;
mod kills;
mod load;
mod model;
mod observe;
mod power;
mod random;
mod report;
mod script;
mod worker;

use std::error::Error as StdError;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

/// An error that stops a test and is not a fault of the engine.
type Error = Box<dyn StdError + Send + Sync>;

/// Kills Everloop's engine and cuts its power, and checks that nothing acknowledged is missing.
///
/// Prints a JSON object for the kills and one for the power losses. The exit code is 1 if there was a violation.
#[derive(Debug, Parser)]
#[command(name = "everloop-crash", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Number of kills of the process.
    #[arg(long, value_name = "N", default_value_t = 0)]
    kills: u64,
    /// Number of power losses.
    #[arg(long, value_name = "N", default_value_t = 0)]
    power_losses: u64,
    /// The seed of all random choices; by default a new one each time.
    #[arg(long)]
    seed: Option<u64>,
    /// A fault to plant, to show that it is found.
    #[arg(long, hide = true)]
    planted: Option<Planted>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// The process that is killed.
    #[command(hide = true)]
    Child(child::Options),
}

/// A fault for the tests of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Planted {
    /// The model believes in a signal that was never sent.
    Acknowledgement,
    /// The disk reports syncs that it does not do.
    LyingSyncs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.role {
        Some(Role::Child(options)) => child::serve(options).await.map(|()| true),
        None => test(&arguments).await,
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("everloop-crash: {}", explained(&*error));
            ExitCode::from(2)
        }
    }
}

/// Whether there was no violation.
async fn test(arguments: &Arguments) -> Result<bool, Error> {
    let Arguments { kills, power_losses, seed, planted, .. } = arguments;
    if *kills == 0 && *power_losses == 0 {
        let message = "nothing to do: give counts, as in `--kills 100 --power-losses 1000`";
        Arguments::command().error(ErrorKind::MissingRequiredArgument, message).exit();
    }
    let seed = seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::from(now.subsec_nanos()) + now.as_secs() * 1_000_000_000
    });
    eprintln!("everloop-crash: seed {seed}");
    let mut is_well = true;
    if *kills > 0 {
        is_well &= kills::run(*kills, seed, *planted).await?;
    }
    if *power_losses > 0 {
        is_well &= power::run(*power_losses, seed, *planted).await?;
    }
    Ok(is_well)
}

/// Formats the error with its causes, on one line.
fn explained(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
