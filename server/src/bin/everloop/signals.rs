//! Signals: the first one stops the program gracefully, the second one at once.

use std::io;
use std::{process, thread};

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Resolves at ctrl-c or, on Unix, at SIGTERM. No signal after this call is missed.
///
/// Signals have their own thread, so that the second one works even while the server's runtime shuts down.
pub(crate) fn stop_signal() -> io::Result<oneshot::Receiver<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let (stop, stopped) = oneshot::channel();
    thread::Builder::new().name("everloop-signals".to_owned()).spawn(move || {
        runtime.block_on(async move {
            signals.next().await;
            crate::warn("stopping; a second signal ends it at once");
            // The server may have ended by itself.
            let _ = stop.send(());
            let code = signals.next().await;
            process::exit(code);
        });
    })?;
    Ok(stopped)
}

#[cfg(unix)]
struct Signals {
    interrupted: tokio::signal::unix::Signal,
    terminated: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupted: signal(SignalKind::interrupt())?, terminated: signal(SignalKind::terminate())? })
    }

    /// Waits for a signal; returns the exit code that shells use for a process ended by it.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupted.recv() => 130,
            _ = self.terminated.recv() => 143,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> i32 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
        130
    }
}
