//! Timestamps and durations of the engine.

use std::ops::{Add, Sub};
use std::time::Duration;

/// The longest duration of a request; longer ones are clamped to it.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A timestamp of the engine's clock, in nanoseconds since 1970 (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Time(i64);

impl Time {
    pub(crate) const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    pub(crate) const fn nanos(self) -> i64 {
        self.0
    }

    /// The duration since `earlier`; zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }
}

impl From<Time> for prost_types::Timestamp {
    fn from(time: Time) -> Self {
        Self { seconds: time.0.div_euclid(1_000_000_000), nanos: time.0.rem_euclid(1_000_000_000) as i32 }
    }
}

impl From<&prost_types::Timestamp> for Time {
    fn from(stamp: &prost_types::Timestamp) -> Self {
        Self(stamp.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(stamp.nanos)))
    }
}

/// The error for a negative duration in a request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("negative duration")]
pub(crate) struct NegativeDuration;

/// Reads a duration of a request; an unset duration is zero, which means "none".
pub(crate) fn duration(wire: Option<&prost_types::Duration>) -> Result<Duration, NegativeDuration> {
    let Some(wire) = wire else { return Ok(Duration::ZERO) };
    let seconds = u64::try_from(wire.seconds).map_err(|_| NegativeDuration)?;
    let nanos = u32::try_from(wire.nanos).map_err(|_| NegativeDuration)?;
    Ok((Duration::from_secs(seconds).saturating_add(Duration::from_nanos(u64::from(nanos)))).min(LONGEST))
}

/// Encodes a duration as events hold it: always present, even if zero.
pub(crate) fn wire_duration(duration: Duration) -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos() as i32,
    })
}

/// Encodes a duration, or returns `None` if it is zero.
pub(crate) fn set_duration(duration: Duration) -> Option<prost_types::Duration> {
    if duration.is_zero() { None } else { wire_duration(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_durations_are_rejected_and_long_ones_clamped() {
        let wire = |seconds, nanos| prost_types::Duration { seconds, nanos };
        assert_eq!(duration(None), Ok(Duration::ZERO));
        assert_eq!(duration(Some(&wire(1, 5))), Ok(Duration::new(1, 5)));
        assert_eq!(duration(Some(&wire(-1, 0))), Err(NegativeDuration));
        assert_eq!(duration(Some(&wire(0, -1))), Err(NegativeDuration));
        assert_eq!(duration(Some(&wire(i64::MAX, 0))), Ok(LONGEST));
    }

    #[test]
    fn timestamps_before_1970_have_positive_nanos() {
        let stamp = prost_types::Timestamp::from(Time::from_nanos(-1));
        assert_eq!((stamp.seconds, stamp.nanos), (-1, 999_999_999));
        assert_eq!(Time::from(&stamp), Time::from_nanos(-1));
    }
}
