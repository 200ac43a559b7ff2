//! Our server, in a process of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use clap::Args;
use everloop_server::{ClockMode, Engine};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Error;

/// The prefix of the first line of output; the address follows.
const READY: &str = "listening on ";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The engine's store: `memory:` or `sqlite:FILE`.
    #[arg(long, default_value = "memory:")]
    address: String,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// Serves until the standard input ends, so that no server outlives the measuring process.
pub(crate) async fn serve(options: Options) -> Result<(), Error> {
    let engine = match options.address.split_once(':') {
        Some(("memory", "")) => Engine::memory(ClockMode::Real)?,
        Some(("sqlite", file)) if !file.is_empty() => Engine::open(file)?,
        _ => return Err(format!("`{}` cannot be served; write `memory:` or `sqlite:FILE`", options.address).into()),
    };
    let listening = engine.listen(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port))).await?;
    println!("{READY}{}", listening.address());
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    listening.stop().await;
    Ok(())
}

/// A server as a child of this process. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    pub(crate) pid: u32,
    pub(crate) address: String,
}

impl Server {
    /// Starts this program's `serve`, and waits until it listens.
    pub(crate) async fn start(address: &str) -> Result<Self, Error> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["serve", "--address", address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = process.id().ok_or("our server has ended at once")?;
        let output = process.stdout.take().ok_or("our server has no output")?;
        let line = BufReader::new(output).lines().next_line().await?.unwrap_or_default();
        let address = line.strip_prefix(READY).ok_or("our server did not start; see its output above")?.to_owned();
        Ok(Self { process, pid, address })
    }

    /// Closes the child's standard input and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        drop(self.process.stdin.take());
        self.process.wait().await?;
        Ok(())
    }
}
