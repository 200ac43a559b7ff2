//! Signals: the first ends the program well, the second at once.

use std::io;
use std::{process, thread};

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Resolves at ctrl-c or, where there is such a thing, when the process is asked to terminate. From this call on no
/// signal is missed.
///
/// They have a thread of their own: the second one works also while the server's runtime is at its end.
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
            // Whoever waited has ended by itself.
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

    /// The exit code that shells give to a process which that signal ended.
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
