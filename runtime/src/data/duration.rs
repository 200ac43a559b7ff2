//! Durations on the wire.
//!
//! The protocol cannot express "never" or "at once": a server drops durations that are too long, and treats a missing or zero
//! limit as none. So all options are converted here: durations that are too long are clamped, and zero is rejected where
//! the server would read it as "no limit".

use std::time::Duration;

use prost_types::Duration as Wire;

/// A hundred years. Longer durations are clamped to it; every server can add this duration to the current time.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

pub(crate) fn duration_to_wire(duration: Duration) -> Wire {
    let duration = duration.min(LONGEST);
    let seconds = i64::try_from(duration.as_secs()).expect("a hundred years of seconds fit");
    let nanos = i32::try_from(duration.subsec_nanos()).expect("less than a second of nanoseconds fits");
    Wire { seconds, nanos }
}

/// Reads a limit; zero means that there is none.
pub(crate) fn limit_from_wire(limit: Option<Wire>) -> Option<Duration> {
    delay_from_wire(limit).filter(|limit| !limit.is_zero())
}

/// Reads a delay; a negative one counts as zero.
pub(crate) fn delay_from_wire(delay: Option<Wire>) -> Option<Duration> {
    // The conversion fails only for negative durations.
    delay.map(|delay| Duration::try_from(delay).unwrap_or(Duration::ZERO))
}

/// An option with an invalid value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{option}` {problem}")]
pub struct OptionError {
    /// The option's name.
    pub option: &'static str,
    /// The problem, and the accepted form.
    pub problem: String,
}

impl OptionError {
    pub(crate) fn new(option: &'static str, problem: impl Into<String>) -> Self {
        Self { option, problem: problem.into() }
    }
}

/// Rejects a limit of zero.
pub(crate) fn check_limit(option: &'static str, limit: Option<Duration>) -> Result<(), OptionError> {
    match limit {
        Some(Duration::ZERO) => Err(OptionError::new(
            option,
            "is zero, which would mean no limit; leave it out for none, or set a longer one",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_is_as_long_as_possible() {
        let longest = Wire { seconds: 3_153_600_000, nanos: 0 };
        for duration in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_secs(1 << 40), LONGEST] {
            assert_eq!(duration_to_wire(duration), longest);
        }
        assert_eq!(duration_to_wire(Duration::new(5, 7)), Wire { seconds: 5, nanos: 7 });
        assert_eq!(duration_to_wire(Duration::ZERO), Wire::default());
    }

    #[test]
    fn no_limit_and_zero_are_told_apart_where_they_differ() {
        let zero = Some(Wire::default());
        assert_eq!((limit_from_wire(zero), delay_from_wire(zero)), (None, Some(Duration::ZERO)));
        assert_eq!((limit_from_wire(None), delay_from_wire(None)), (None, None));
        let negative = Some(Wire { seconds: -1, nanos: 0 });
        assert_eq!((limit_from_wire(negative), delay_from_wire(negative)), (None, Some(Duration::ZERO)));
        assert_eq!(limit_from_wire(Some(duration_to_wire(Duration::new(5, 7)))), Some(Duration::new(5, 7)));
    }
}
