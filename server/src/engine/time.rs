//! Moments and durations as the engine counts them.

use std::ops::{Add, Sub};
use std::time::Duration;

/// The longest duration a request may ask for; longer ones are cut to it.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A moment of the engine's clock, in nanoseconds since 1970 (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Time(i64);

impl Time {
    pub(crate) const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    pub(crate) const fn nanos(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
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

/// Why a duration on the wire means nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("negative duration")]
pub(crate) struct NegativeDuration;

/// Reads a duration as requests carry it: unset is zero, which everywhere means "none given".
pub(crate) fn duration(wire: Option<&prost_types::Duration>) -> Result<Duration, NegativeDuration> {
    let Some(wire) = wire else { return Ok(Duration::ZERO) };
    let seconds = u64::try_from(wire.seconds).map_err(|_| NegativeDuration)?;
    let nanos = u32::try_from(wire.nanos).map_err(|_| NegativeDuration)?;
    Ok((Duration::from_secs(seconds).saturating_add(Duration::from_nanos(u64::from(nanos)))).min(LONGEST))
}

/// Writes a duration the way events carry it: always present, zero included.
pub(crate) fn wire_duration(duration: Duration) -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos() as i32,
    })
}

/// Writes a duration that is left out when it is zero.
pub(crate) fn set_duration(duration: Duration) -> Option<prost_types::Duration> {
    if duration.is_zero() { None } else { wire_duration(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_or_refused() {
        let wire = |seconds, nanos| prost_types::Duration { seconds, nanos };
        assert_eq!(duration(None), Ok(Duration::ZERO));
        assert_eq!(duration(Some(&wire(1, 5))), Ok(Duration::new(1, 5)));
        assert_eq!(duration(Some(&wire(-1, 0))), Err(NegativeDuration));
        assert_eq!(duration(Some(&wire(0, -1))), Err(NegativeDuration));
        assert_eq!(duration(Some(&wire(i64::MAX, 0))), Ok(LONGEST));
    }

    #[test]
    fn moments_before_1970_have_positive_nanos() {
        let stamp = prost_types::Timestamp::from(Time::from_nanos(-1));
        assert_eq!((stamp.seconds, stamp.nanos), (-1, 999_999_999));
        assert_eq!(Time::from(&stamp), Time::from_nanos(-1));
    }
}
