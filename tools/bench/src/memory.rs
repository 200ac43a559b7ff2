//! Memory of this process, as Linux counts it.

use std::fs;

use crate::Error;
use crate::report::rounded;

/// Returns the resident memory of this process.
///
/// # Errors
/// Fails if this is not Linux.
pub(crate) fn resident_bytes() -> Result<u64, Error> {
    let path = "/proc/self/status";
    let status = fs::read_to_string(path).map_err(|error| format!("memory is read from {path}, on Linux: {error}"))?;
    kibibytes(&status).map(|kib| kib * 1024).ok_or_else(|| format!("{path} has no VmRSS").into())
}

pub(crate) fn mebibytes(bytes: u64) -> f64 {
    rounded(bytes as f64 / f64::from(1 << 20))
}

fn kibibytes(status: &str) -> Option<u64> {
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    resident.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_line_is_found() {
        assert_eq!(kibibytes("Name:\ta\nVmHWM:\t    9 kB\nVmRSS:\t   1234 kB\n"), Some(1234));
        assert!(resident_bytes().unwrap() > 1 << 20);
    }
}
