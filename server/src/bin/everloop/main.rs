//! `everloop`: the engine as a program.

mod arguments;

use std::error::Error;
use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use everloop_server::{ClockMode, Engine, ListenError};
use tracing_subscriber::filter::LevelFilter;

use self::arguments::{Arguments, LogLevel, Settings, Time};

fn main() -> ExitCode {
    let served = Arguments::parse().settings().map_err(Into::into).and_then(run);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("everloop: {}", explained(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_max_level(level(settings.log_level)).with_writer(io::stderr).init();
    for remark in &settings.remarks {
        eprintln!("everloop: {remark}");
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(settings))
}

async fn serve(settings: Settings) -> Result<(), Box<dyn Error>> {
    // Before anybody can know that we run: a signal that comes right after is not missed.
    let stopped = stop_signal()?;
    let clock = if settings.time == Time::Real { ClockMode::Real } else { ClockMode::Skipping };
    let builder =
        settings.namespaces.iter().fold(Engine::builder().clock(clock), |builder, name| builder.namespace(name));
    let engine = builder.build()?;
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
    writeln!(io::stdout(), "listening on {}", listening.address())?;
    stopped.await;
    listening.stop().await;
    Ok(())
}

/// Resolves at ctrl-c or, where there is such a thing, when the process is asked to terminate.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
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

/// The error with its causes, on one line.
fn explained(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
