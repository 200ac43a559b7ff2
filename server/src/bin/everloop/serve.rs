//! The engine as a server.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use everloop_server::{ClockMode, Engine, ListenError};
use tracing_subscriber::filter::LevelFilter;

use crate::arguments::server::{LogLevel, Settings, Time};
use crate::signals::stop_signal;

/// How long connections may take to go at the end. The calls that were under way have had their time.
const CUT_OFF: Duration = Duration::from_secs(1);

/// Serves until a signal comes.
pub(crate) fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_max_level(level(settings.log_level))
        .with_writer(io::stderr)
        // A line that cannot be written would end the thread that logs it: the error is reported with `eprintln!`.
        .log_internal_errors(false)
        .init();
    for remark in &settings.remarks {
        crate::warn(remark);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(settings));
    // A client that does not read its answers would keep its connection, and that the engine.
    runtime.shutdown_timeout(CUT_OFF);
    served
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    // Before anybody can know that we run: a signal that comes right after is not missed.
    let stopped = stop_signal()?;
    let began = Instant::now();
    let clock = if settings.time == Time::Real { ClockMode::Real } else { ClockMode::Skipping };
    let mut builder =
        settings.namespaces.iter().fold(Engine::builder().clock(clock), |builder, name| builder.namespace(name));
    if let Some(database) = &settings.database {
        builder = builder.file(database);
    }
    let engine = builder.build()?;
    let (open_runs, opening) = (engine.recovered_runs(), began.elapsed());
    if settings.time == Time::Skipping {
        engine.unlock_time("start")?;
    }
    let listening = match settings.is_insecure {
        true => engine.listen_insecure(settings.address).await,
        false => engine.listen(settings.address).await,
    };
    let listening = listening.map_err(|error| match error {
        ListenError::NotLoopback { .. } => format!("{error}; --insecure listens there all the same").into(),
        error => Box::<dyn Error>::from(error),
    })?;
    let Settings { time, database, .. } = settings;
    let start = Start { address: listening.address(), database, time, open_runs, opening };
    // A server whose output nobody reads serves all the same.
    let _ = io::stdout().write_all(start.to_string().as_bytes());
    let failed = engine.failed();
    // It would keep the file open.
    drop(engine);
    tokio::select! {
        // An error means that the thread of signals is at its end, and then so is the server.
        _ = stopped => {
            listening.stop().await;
            Ok(())
        }
        reason = failed => {
            listening.stop().await;
            Err(StoreFailed { reason }.into())
        }
    }
}

/// The server ends because it cannot keep what it acknowledges. What it has acknowledged is there.
#[derive(Debug, thiserror::Error)]
#[error("{reason}; nothing that was acknowledged is lost")]
pub(crate) struct StoreFailed {
    reason: String,
}

/// What is said at the start. Launchers look for its first line.
struct Start {
    address: SocketAddr,
    /// The file with the data; none in memory.
    database: Option<PathBuf>,
    time: Time,
    open_runs: usize,
    opening: Duration,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "listening on {}", self.address)?;
        match &self.database {
            Some(file) => writeln!(f, "  data  {}", file.display())?,
            None => writeln!(f, "  data  in memory, gone when the server stops")?,
        }
        let mode = match self.time {
            Time::Real => "development server, real time",
            Time::Locked => "test server, time is skipped when a client asks for it",
            Time::Skipping => "test server, time is skipped whenever nothing else can happen",
        };
        writeln!(f, "  mode  {mode}")?;
        writeln!(f, "  runs  {} open, opened in {:.1} ms", self.open_runs, self.opening.as_secs_f64() * 1e3)?;
        // What runs on every address has no one address to give to others.
        if !self.address.ip().is_unspecified() {
            writeln!(f, "  use   TEMPORAL_ADDRESS={} for workers, clients and `everloop workflow`", self.address)?;
        }
        Ok(())
    }
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Never => LevelFilter::OFF,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(start: Start, expected: Expect) {
        expected.assert_eq(&start.to_string());
    }

    #[test]
    fn the_start_says_where_what_and_how_long() {
        let start = Start {
            address: "127.0.0.1:7233".parse().unwrap(),
            database: None,
            time: Time::Real,
            open_runs: 0,
            opening: Duration::from_micros(1234),
        };
        check(
            start,
            expect![[r#"
            listening on 127.0.0.1:7233
              data  in memory, gone when the server stops
              mode  development server, real time
              runs  0 open, opened in 1.2 ms
              use   TEMPORAL_ADDRESS=127.0.0.1:7233 for workers, clients and `everloop workflow`
        "#]],
        );
        let start = Start {
            address: "[::]:7001".parse().unwrap(),
            database: Some("shop.db".into()),
            time: Time::Locked,
            open_runs: 17,
            opening: Duration::from_millis(412),
        };
        check(
            start,
            expect![[r#"
            listening on [::]:7001
              data  shop.db
              mode  test server, time is skipped when a client asks for it
              runs  17 open, opened in 412.0 ms
        "#]],
        );
    }
}
