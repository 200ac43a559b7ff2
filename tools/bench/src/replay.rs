//! How fast do histories replay, and does it depend on their length?

use std::time::{Duration, Instant};

use clap::Args;
use everloop::Client;
use everloop::testing::Replayer;
use serde::Serialize;

use crate::load::{QUEUE, Steps, worker};
use crate::report::{Versions, print, rate};
use crate::{Error, some_seconds};

/// Number of events of a workflow with one activity, and of each further activity.
const SHORTEST: usize = 11;
const EVENTS_EACH: usize = 6;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Approximate number of events of the history; if given several times, the sizes are measured in turns.
    #[arg(long, required = true, value_parser = clap::value_parser!(u64).range(SHORTEST as u64..))]
    events: Vec<u64>,
    /// How long to replay each history.
    #[arg(long, default_value = "2", value_parser = some_seconds)]
    seconds: Duration,
}

#[derive(Debug, Serialize)]
struct Line {
    bench: &'static str,
    events: usize,
    bytes: usize,
    replays: usize,
    /// The time from the bytes that a server sends to the recovered run.
    events_per_s: f64,
    /// The fastest replay, which other programs disturbed least.
    best_events_per_s: f64,
    versions: Versions,
}

/// One history and its measurements.
struct Recorded {
    bytes: Vec<u8>,
    events: usize,
    replays: usize,
    elapsed: Duration,
    best: Duration,
}

pub(crate) async fn measure(options: Options) -> Result<(), Error> {
    let mut recorded = Vec::new();
    for events in options.events {
        recorded.push(Recorded::of(usize::try_from(events)?).await?);
    }
    let replayer = Replayer::new().workflow::<Steps>();
    let budget = options.seconds;
    for history in &mut recorded {
        // The first replay runs with cold caches.
        history.replay(&replayer)?;
        *history = Recorded::new(std::mem::take(&mut history.bytes), history.events);
    }
    // The sizes take turns, so that each sees the machine in the same state.
    while recorded.iter().any(|history| history.elapsed < budget) {
        for history in &mut recorded {
            let enough = (history.elapsed + budget / 20).min(budget);
            while history.elapsed < enough {
                history.replay(&replayer)?;
            }
        }
    }
    for Recorded { bytes, events, replays, elapsed, best } in recorded {
        print(&Line {
            bench: "replay",
            events,
            bytes: bytes.len(),
            replays,
            events_per_s: rate(events * replays, elapsed),
            best_events_per_s: rate(events, best),
            versions: Versions::ours(),
        })?;
    }
    Ok(())
}

impl Recorded {
    /// Lets the engine write a history of about that many events.
    async fn of(events: usize) -> Result<Self, Error> {
        let activities = (events - SHORTEST) / EVENTS_EACH + 1;
        let client = Client::connect("memory:").await?;
        let recording = async {
            let call = Steps::run(u32::try_from(activities)?);
            let handle = client.start(call).id("recorded").task_queue(QUEUE).await?;
            handle.result().await?;
            Ok::<_, Error>(handle.history().await?)
        };
        let history = worker(&client)?.run_until(recording).await?;
        Ok(Self::new(history.to_bytes(), history.len()))
    }

    fn new(bytes: Vec<u8>, events: usize) -> Self {
        Self { bytes, events, replays: 0, elapsed: Duration::ZERO, best: Duration::MAX }
    }

    fn replay(&mut self, replayer: &Replayer) -> Result<(), Error> {
        let since = Instant::now();
        replayer.replay_bytes(&self.bytes)?;
        let elapsed = since.elapsed();
        self.replays += 1;
        self.elapsed += elapsed;
        self.best = self.best.min(elapsed);
        Ok(())
    }
}
