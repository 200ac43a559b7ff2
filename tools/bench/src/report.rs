//! Lines of output, and the conversions of their figures.

use std::time::Duration;

use everloop_proto::temporal::api::workflowservice::v1::GetSystemInfoRequest;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use serde::Serialize;
use tonic::transport::Endpoint;

use crate::Error;

/// The versions and the build that were measured.
#[derive(Debug, Serialize)]
pub(crate) struct Versions {
    everloop: &'static str,
    /// `release`, or `debug`, whose figures mean nothing.
    build: &'static str,
    cores: usize,
    /// The server's name and version; absent when the engine is in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
}

impl Versions {
    pub(crate) fn ours() -> Self {
        Self {
            everloop: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "debug" } else { "release" },
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            server: None,
        }
    }

    /// Asks the server, if the address is that of one.
    pub(crate) async fn with_server(address: &str) -> Result<Self, Error> {
        let mut versions = Self::ours();
        if !is_in_process(address) {
            let uri = format!("http://{}", address.trim_start_matches("http://"));
            let channel = Endpoint::from_shared(uri)?.connect().await?;
            let info = WorkflowServiceClient::new(channel).get_system_info(GetSystemInfoRequest::default()).await?;
            versions.server = Some(info.into_inner().server_version);
        }
        Ok(versions)
    }
}

/// Whether the engine of an address is in the process that connects to it.
pub(crate) fn is_in_process(address: &str) -> bool {
    address.starts_with("memory:") || address.starts_with("sqlite:")
}

/// Prints one object on one line.
pub(crate) fn print(line: &impl Serialize) -> Result<(), Error> {
    println!("{}", serde_json::to_string(line)?);
    Ok(())
}

/// Converts a count and a time to a rate per second.
pub(crate) fn rate(count: usize, elapsed: Duration) -> f64 {
    rounded(count as f64 / elapsed.as_secs_f64())
}

/// Converts a share of CPU time to microseconds.
pub(crate) fn micros_each(cpu: Duration, count: usize) -> f64 {
    rounded(cpu.as_secs_f64() * 1e6 / count as f64)
}

/// Rounds to four significant digits: measurements on a shared machine are not more precise.
pub(crate) fn rounded(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let digits = 3 - number.abs().log10().floor() as i32;
    if digits >= 0 {
        let scale = 10f64.powi(digits);
        (number * scale).round() / scale
    } else {
        let scale = 10f64.powi(-digits);
        (number / scale).round() * scale
    }
}

/// Returns the percentile of the sorted, nonempty values, in milliseconds.
pub(crate) fn percentile_ms(sorted: &[Duration], share: f64) -> f64 {
    let index = ((sorted.len() - 1) as f64 * share).round() as usize;
    rounded(sorted[index].as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_significant_digits() {
        let numbers = [0.0, 1.0, 1234.5, 1_234_567.0, 0.012_345_6, 99.999].map(rounded);
        assert_eq!(numbers, [0.0, 1.0, 1235.0, 1_235_000.0, 0.012_35, 100.0]);
    }

    #[test]
    fn percentiles_are_measured_values() {
        let sorted: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| percentile_ms(&sorted, share)), [1.0, 51.0, 99.0, 100.0]);
        assert_eq!(percentile_ms(&sorted[..1], 0.99), 1.0);
    }
}
