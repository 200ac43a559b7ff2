//! CPU time of processes, as Linux counts it.

use std::fs;
use std::time::Duration;

use crate::Error;

/// The kernel's unit in `/proc/PID/stat`, on every platform that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time of this process and of the servers it uses.
#[derive(Debug, Clone)]
pub(crate) struct Processes {
    servers: Vec<u32>,
}

impl Processes {
    /// # Errors
    /// Fails if a server's process does not exist.
    pub(crate) fn new(servers: impl IntoIterator<Item = u32>) -> Result<Self, Error> {
        let servers: Vec<_> = servers.into_iter().collect();
        for pid in &servers {
            used(&pid.to_string()).map_err(|error| format!("there is no process {pid}: {error}"))?;
        }
        Ok(Self { servers })
    }

    /// Returns the CPU time that the processes have used since they started.
    ///
    /// # Errors
    /// Fails if one of the processes has ended, or if this is not Linux.
    pub(crate) fn used(&self) -> Result<Duration, Error> {
        let servers = self.servers.iter().map(u32::to_string);
        servers.chain(["self".to_owned()]).map(|process| used(&process)).sum()
    }
}

/// Returns the user and system time of one process, including threads that have ended.
fn used(process: &str) -> Result<Duration, Error> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| format!("CPU time is read from {path}, on Linux: {error}"))?;
    ticks(&stat).map(|ticks| TICK * ticks).ok_or_else(|| format!("{path} is not as Linux writes it: {stat}").into())
}

/// Reads fields 14 and 15. The second field is the program's name in parentheses, and may contain both blanks and parentheses.
fn ticks(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_whitespace().skip(11).map(|field| field.parse::<u32>().ok());
    times.next()??.checked_add(times.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_a_program_name_do_not_shift_fields() {
        assert_eq!(ticks("7 (a b) c) S 1 7 7 0 -1 4194560 5 0 0 0 120 34 0 0 20 0 1 0"), Some(154));
        assert_eq!(ticks("7 (a) S"), None);
    }

    #[test]
    fn cpu_time_of_unknown_process_is_an_error() {
        let ours = Processes::new([std::process::id()]).unwrap();
        assert!(ours.used().is_ok());
        let error = Processes::new([u32::MAX]).unwrap_err().to_string();
        assert!(error.contains("there is no process 4294967295"), "{error}");
    }
}
