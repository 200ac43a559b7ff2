//! Cron schedules: when a workflow is due, in UTC.
//!
//! The grammar and the times are those of the Temporal server: five fields, or `@daily` and its kind, or `@every 90m`.

use std::time::Duration;

use crate::engine::time::Time;

const SECOND: i64 = 1_000_000_000;
const MINUTES_A_DAY: i64 = 24 * 60;
/// A schedule without a time in so many years has none.
const YEARS_MAX: i64 = 5;

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cron {
    Fields(Fields),
    Every(Duration),
}

/// The minutes at which a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    minutes: u64,
    hours: u64,
    days: Field,
    months: u64,
    weekdays: Field,
}

/// The values of a field, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    values: u64,
    /// Whether it allows every value by `*` or `?`.
    is_star: bool,
}

/// The values that a field can have.
struct Range {
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MINUTES: Range = Range { min: 0, max: 59, names: &[] };
const HOURS: Range = Range { min: 0, max: 23, names: &[] };
const DAYS: Range = Range { min: 1, max: 31, names: &[] };
const MONTHS: Range = Range {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Range = Range { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

impl Cron {
    /// Parses a schedule.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = match text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) {
            None => text,
            Some(zoned) => match zoned.split_once(' ') {
                Some(("UTC", schedule)) => schedule,
                Some((zone, _)) => {
                    return Err(format!("the time zone {zone} is not supported by this server, only UTC"));
                }
                None => return Err("a time zone and no schedule".to_owned()),
            },
        };
        let text = text.trim();
        if let Some(every) = text.strip_prefix("@every ") {
            let every = duration(every.trim()).ok_or_else(|| format!("{every:?} is not a duration such as 1h30m"))?;
            return Ok(Self::Every(Duration::from_secs(every.as_secs().max(1))));
        }
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            fields => fields,
        };
        let fields: Vec<_> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(format!("{} fields instead of 5", fields.len()));
        };
        Ok(Self::Fields(Fields {
            minutes: MINUTES.parse(minutes)?.values,
            hours: HOURS.parse(hours)?.values,
            days: DAYS.parse(days)?,
            months: MONTHS.parse(months)?.values,
            weekdays: WEEKDAYS.parse(weekdays)?,
        }))
    }

    /// How long a run waits that is started `now`, in whole seconds. `before` is when the last run was due; the time of
    /// an `@every` is counted from there. `None` if no time is left.
    pub(crate) fn backoff(&self, before: Time, now: Time) -> Option<Duration> {
        let due = if now < before { before.nanos() } else { self.first_from(before.nanos(), now.nanos())? };
        let seconds =
            (due - now.nanos()).max(0).div_euclid(SECOND) + i64::from((due - now.nanos()).rem_euclid(SECOND) > 0);
        Some(Duration::from_secs(seconds.unsigned_abs()))
    }

    /// The first time after `before` that is not before `now`.
    fn first_from(&self, before: i64, now: i64) -> Option<i64> {
        match self {
            Self::Fields(fields) => {
                let after = before.max(now - 1);
                // Due times are whole minutes.
                Some(fields.first_minute(after.div_euclid(60 * SECOND) + 1)? * 60 * SECOND)
            }
            Self::Every(every) => {
                let every = i64::try_from(every.as_nanos()).ok()?;
                let before = before.div_euclid(SECOND) * SECOND;
                let missed = (now - before - every).max(0);
                let skipped = missed.div_euclid(every) + i64::from(missed.rem_euclid(every) > 0);
                before.checked_add(every.checked_mul(skipped + 1)?)
            }
        }
    }
}

impl Fields {
    /// The first due minute from `start` on, in minutes since 1970.
    fn first_minute(&self, start: i64) -> Option<i64> {
        let first_day = start.div_euclid(MINUTES_A_DAY);
        let last_year = date(first_day).0 + YEARS_MAX;
        for day in first_day.. {
            let (year, month, day_of_month) = date(day);
            if year > last_year {
                return None;
            }
            if !has(self.months, month) || !self.is_on(day, day_of_month) {
                continue;
            }
            let earliest = (start - day * MINUTES_A_DAY).max(0);
            let of_day =
                (earliest..MINUTES_A_DAY).find(|minute| has(self.hours, minute / 60) && has(self.minutes, minute % 60));
            if let Some(minute) = of_day {
                return Some(day * MINUTES_A_DAY + minute);
            }
        }
        None
    }

    /// Where both kinds of days are restricted, either is enough.
    fn is_on(&self, day: i64, day_of_month: i64) -> bool {
        let by_month = has(self.days.values, day_of_month);
        // The first day of 1970 was a Thursday.
        let by_week = has(self.weekdays.values, (day + 4).rem_euclid(7));
        match self.days.is_star || self.weekdays.is_star {
            true => by_month && by_week,
            false => by_month || by_week,
        }
    }
}

impl Range {
    /// Parses `*/15`, `1-5,7`, `mon-fri`, and so on.
    fn parse(&self, text: &str) -> Result<Field, String> {
        let mut field = Field { values: 0, is_star: false };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
            let is_star = matches!(range, "*" | "?");
            let (low, high) = match range.split_once('-') {
                _ if is_star => (self.min, self.max),
                Some((low, high)) => (self.value(low)?, self.value(high)?),
                None => (self.value(range)?, self.value(range)?),
            };
            let (high, step) = match step {
                None => (high, 1),
                // `N/step` goes on to the end.
                Some(step) => (if range.contains('-') { high } else { self.max }, number(step)?),
            };
            if low < self.min || high > self.max || low > high || step == 0 {
                return Err(format!("{part:?} is not within {} to {}", self.min, self.max));
            }
            field.is_star |= is_star && step == 1;
            for value in (low..=high).step_by(step as usize) {
                field.values |= 1 << value;
            }
        }
        Ok(field)
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        // The months begin with 1.
        named.map_or_else(|| number(text), |position| Ok(self.min + position as u32))
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text:?} is not a number"))
}

fn has(values: u64, value: i64) -> bool {
    values & (1 << value) != 0
}

/// The year, month and day of a day that is counted from 1970.
fn date(day: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that a leap day is the last of its year.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_month)
}

/// Parses `1h30m`, `1.5s`, `300ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let unit_end = rest[digits..].find(|it: char| it.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        let unit = match &rest[digits..unit_end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let count: f64 = rest[..digits].parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(count * unit).ok()?)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    /// Wednesday, 2025-01-01 00:00:00.
    const NEW_YEAR: i64 = 20_089 * DAY;

    fn at(seconds: i64) -> Time {
        Time::from_nanos(seconds * SECOND)
    }

    /// The first due time after `from`, in seconds.
    fn next(cron: &str, from: i64) -> Option<i64> {
        let backoff = Cron::parse(cron).unwrap().backoff(at(from), at(from))?;
        Some(from + i64::try_from(backoff.as_secs()).unwrap())
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(20_089), (2025, 1, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(-1), (1969, 12, 31));
    }

    #[test]
    fn due_times_follow_the_fields() {
        let hour = 3600;
        for (cron, expected) in [
            ("* * * * *", 60),
            ("*/15 * * * *", 15 * 60),
            ("30 9 * * *", 9 * hour + 30 * 60),
            ("0 0 * * *", DAY),
            ("5,10 1-3 * * *", hour + 5 * 60),
            ("20/20 0 * * *", 20 * 60),
            ("0 12 31 * *", 30 * DAY + 12 * hour),
            ("0 0 29 2 *", (365 * 3 + 31 + 28) * DAY),
            ("0 0 * * fri", 2 * DAY),
            ("0 0 * * MON-TUE", 5 * DAY),
            ("0 0 ? feb *", 31 * DAY),
            // The tenth, or a Saturday.
            ("0 0 10 * 6", 3 * DAY),
            ("0 0 2 * 6", DAY),
            // With a step of one, a star is a star.
            ("0 0 */1 * 6", 3 * DAY),
            ("@hourly", hour),
            ("@daily", DAY),
            ("@midnight", DAY),
            ("@weekly", 4 * DAY),
            ("@monthly", 31 * DAY),
            ("@yearly", 365 * DAY),
            ("CRON_TZ=UTC 0 6 * * *", 6 * hour),
            ("@every 90m", 90 * 60),
            ("@every 1h0m1.9s", hour + 1),
            ("@every 10ms", 1),
        ] {
            assert_eq!(next(cron, NEW_YEAR), Some(NEW_YEAR + expected), "{cron}");
        }
        assert_eq!(next("0 0 30 2 *", NEW_YEAR), None);
    }

    #[test]
    fn due_times_that_have_passed_are_skipped() {
        let backoff = |cron: &str, before: i64, now: i64| {
            let cron = Cron::parse(cron).unwrap();
            cron.backoff(Time::from_nanos(before), Time::from_nanos(now)).unwrap().as_secs()
        };
        let start = NEW_YEAR * SECOND;
        // An `@every` keeps its phase.
        assert_eq!(backoff("@every 10s", start, start + 3 * SECOND), 7);
        assert_eq!(backoff("@every 10s", start, start + 27 * SECOND), 3);
        assert_eq!(backoff("@every 10s", start, start + 30 * SECOND), 0);
        // Seconds are rounded up.
        assert_eq!(backoff("@every 10s", start, start + 27 * SECOND + 1), 3);
        assert_eq!(backoff("* * * * *", start, start + 59 * SECOND + 1), 1);
        assert_eq!(backoff("* * * * *", start, start + 60 * SECOND), 0);
        assert_eq!(backoff("* * * * *", start, start + 1000 * SECOND), 20);
        // A run that ended before it was due.
        assert_eq!(backoff("* * * * *", start + 60 * SECOND, start + 45 * SECOND), 15);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for (wrong, reason) in [
            ("", "0 fields instead of 5"),
            ("* * * *", "4 fields instead of 5"),
            ("* * * * * *", "6 fields"),
            ("60 * * * *", "is not within 0 to 59"),
            ("* 24 * * *", "is not within 0 to 23"),
            ("* * 0 * *", "is not within 1 to 31"),
            ("* * * 13 *", "is not within 1 to 12"),
            ("* * * * 7", "is not within 0 to 6"),
            ("5-3 * * * *", "is not within"),
            ("*/0 * * * *", "is not within"),
            ("a * * * *", "is not a number"),
            ("@every", "fields instead of 5"),
            ("@every soon", "is not a duration"),
            ("@every 5", "is not a duration"),
            ("TZ=Europe/Paris * * * * *", "the time zone Europe/Paris is not supported"),
        ] {
            let refused = Cron::parse(wrong).unwrap_err();
            assert!(refused.contains(reason), "{wrong}: {refused}");
        }
    }
}
