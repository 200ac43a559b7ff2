//! The engine as a server.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use everloop_server::{ClockMode, Engine, ListenError};
use tracing_subscriber::filter::LevelFilter;

use crate::arguments::server::{LogLevel, Settings, TimeMode};
use crate::signals::stop_signal;

/// The time that connections get to close at the end. Running calls have had their time before.
const CUT_OFF: Duration = Duration::from_secs(1);

/// Serves until a signal arrives.
pub(crate) fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_max_level(level(settings.log_level))
        .with_writer(io::stderr)
        // If a log line cannot be written, the subscriber would report it with `eprintln!`, which panics.
        .log_internal_errors(false)
        .init();
    for remark in &settings.remarks {
        crate::warn(remark);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(settings));
    // A client that does not read its responses would keep its connection open, and with it the engine.
    runtime.shutdown_timeout(CUT_OFF);
    served
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    // Installed before the server announces itself, so that no signal after that is missed.
    let stopped = stop_signal()?;
    let began = Instant::now();
    let clock = if settings.time == TimeMode::Real { ClockMode::Real } else { ClockMode::Skipping };
    let mut builder =
        settings.namespaces.iter().fold(Engine::builder().clock(clock), |builder, name| builder.namespace(name));
    if let Some(database) = &settings.database {
        builder = builder.file(database);
    }
    let engine = builder.build()?;
    let (open_runs, opening) = (engine.recovered_runs(), began.elapsed());
    if settings.time == TimeMode::Skipping {
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
    let start = StartAnnouncement { address: listening.address(), database, time, open_runs, opening };
    // The server runs even if its standard output is closed.
    let _ = io::stdout().write_all(start.to_string().as_bytes());
    let failed = engine.failed();
    // The engine would keep the file open.
    drop(engine);
    tokio::select! {
        // An error means that the signal thread has ended, so the server ends too.
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

/// The server ends because it cannot store further changes. All acknowledged changes are stored.
#[derive(Debug, thiserror::Error)]
#[error("{reason}; nothing that was acknowledged is lost")]
pub(crate) struct StoreFailed {
    reason: String,
}

/// The announcement at the start. Launchers parse its first line.
struct StartAnnouncement {
    address: SocketAddr,
    /// The file with the data; `None` for memory.
    database: Option<PathBuf>,
    time: TimeMode,
    open_runs: usize,
    opening: Duration,
}

impl fmt::Display for StartAnnouncement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "listening on {}", self.address)?;
        match &self.database {
            Some(file) => writeln!(f, "  data  {}", file.display())?,
            None => writeln!(f, "  data  in memory, gone when the server stops")?,
        }
        let mode = match self.time {
            TimeMode::Real => "development server, real time",
            TimeMode::Locked => "test server, time is skipped when a client asks for it",
            TimeMode::Skipping => "test server, time is skipped whenever nothing else can happen",
        };
        writeln!(f, "  mode  {mode}")?;
        writeln!(f, "  runs  {} open, opened in {:.1} ms", self.open_runs, self.opening.as_secs_f64() * 1e3)?;
        // A server on all interfaces has no single address to recommend.
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

    fn check(start: StartAnnouncement, expected: Expect) {
        expected.assert_eq(&start.to_string());
    }

    #[test]
    fn the_start_announces_address_data_mode_and_runs() {
        let start = StartAnnouncement {
            address: "127.0.0.1:7233".parse().unwrap(),
            database: None,
            time: TimeMode::Real,
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
        let start = StartAnnouncement {
            address: "[::]:7001".parse().unwrap(),
            database: Some("shop.db".into()),
            time: TimeMode::Locked,
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
