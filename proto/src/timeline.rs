//! Histories as people read them, one line an event: for the client crate and for the `everloop` program.

use prost_types::{Duration, Timestamp};

use crate::temporal::api::enums::v1::EventType;
use crate::temporal::api::failure::v1::Failure;
use crate::temporal::api::history::v1::HistoryEvent;
use crate::temporal::api::history::v1::history_event::Attributes;

/// Makes the lines of one history.
///
/// ```text
///    1       0.000  WorkflowExecutionStarted         OneClickBuy
///    5       0.004  TimerStarted                     timer 1, 10 s
/// ```
#[derive(Debug, Default)]
pub struct Timeline {
    start: Option<Timestamp>,
}

impl Timeline {
    /// The line of the next event: its number, the seconds since the first event, its name, and what it is about.
    ///
    /// `failure` says in words what went wrong. Whatever it and the event say, it stays one line.
    pub fn line(&mut self, event: &HistoryEvent, failure: impl Fn(&Failure) -> String) -> String {
        let time = event.event_time;
        self.start = self.start.or(time);
        let since = self.start.zip(time).map_or(0.0, |(start, time)| seconds_between(&start, &time)).max(0.0);
        let about = one_line(&about(event, failure));
        let line = format!("{:>4} {since:>11.3}  {:<32} {about}", event.event_id, event_name(event));
        line.trim_end().to_owned()
    }
}

/// `EVENT_TYPE_TIMER_STARTED` is `TimerStarted`.
#[must_use]
pub fn event_name(event: &HistoryEvent) -> String {
    let Ok(kind) = EventType::try_from(event.event_type) else { return format!("Unknown({})", event.event_type) };
    let words = kind.as_str_name().trim_start_matches("EVENT_TYPE_").split('_');
    words.map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect()
}

/// What an event is about, in a few words.
fn about(event: &HistoryEvent, failure: impl Fn(&Failure) -> String) -> String {
    use Attributes::*;
    let failure = |of: &Option<Failure>| of.as_ref().map(&failure).unwrap_or_default();
    match &event.attributes {
        Some(WorkflowExecutionStartedEventAttributes(started)) => {
            started.workflow_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default()
        }
        Some(WorkflowExecutionSignaledEventAttributes(signal)) => signal.signal_name.clone(),
        Some(WorkflowExecutionFailedEventAttributes(failed)) => failure(&failed.failure),
        Some(WorkflowTaskFailedEventAttributes(failed)) => failure(&failed.failure),
        Some(WorkflowExecutionTerminatedEventAttributes(terminated)) => terminated.reason.clone(),
        Some(TimerStartedEventAttributes(timer)) => {
            format!("timer {}, {} s", timer.timer_id, seconds(&timer.start_to_fire_timeout.unwrap_or_default()))
        }
        Some(TimerFiredEventAttributes(timer)) => format!("timer {}", timer.timer_id),
        Some(TimerCanceledEventAttributes(timer)) => format!("timer {}", timer.timer_id),
        Some(ActivityTaskScheduledEventAttributes(activity)) => {
            let kind = activity.activity_type.as_ref().map_or("", |kind| &kind.name);
            format!("{kind}, id {}", activity.activity_id)
        }
        Some(ActivityTaskStartedEventAttributes(started)) if started.attempt > 1 => {
            format!("attempt {}, after: {}", started.attempt, failure(&started.last_failure))
        }
        Some(ActivityTaskFailedEventAttributes(failed)) => failure(&failed.failure),
        Some(ActivityTaskTimedOutEventAttributes(timed_out)) => failure(&timed_out.failure),
        Some(WorkflowExecutionUpdateAcceptedEventAttributes(accepted)) => accepted.protocol_instance_id.clone(),
        Some(WorkflowExecutionUpdateCompletedEventAttributes(completed)) => {
            completed.meta.as_ref().map(|meta| meta.update_id.clone()).unwrap_or_default()
        }
        _ => String::new(),
    }
}

/// Line breaks, and what would move the cursor of a terminal, become visible.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            character if character.is_control() => line.extend(character.escape_default()),
            character => line.push(character),
        }
    }
    line
}

fn seconds_between(start: &Timestamp, end: &Timestamp) -> f64 {
    seconds(&Duration { seconds: end.seconds - start.seconds, nanos: end.nanos - start.nanos })
}

fn seconds(duration: &Duration) -> f64 {
    duration.seconds as f64 + f64::from(duration.nanos) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::temporal::api::common::v1::WorkflowType;
    use crate::temporal::api::history::v1::{
        TimerStartedEventAttributes, WorkflowExecutionFailedEventAttributes, WorkflowExecutionStartedEventAttributes,
    };

    fn event(event_id: i64, kind: EventType, time: (i64, i32), attributes: Attributes) -> HistoryEvent {
        HistoryEvent {
            event_id,
            event_type: kind as i32,
            event_time: Some(Timestamp { seconds: time.0, nanos: time.1 }),
            attributes: Some(attributes),
            ..Default::default()
        }
    }

    #[test]
    fn each_event_is_one_line() {
        let started = WorkflowExecutionStartedEventAttributes {
            workflow_type: Some(WorkflowType { name: "Buy".into() }),
            ..Default::default()
        };
        let timer = TimerStartedEventAttributes {
            timer_id: "1".into(),
            start_to_fire_timeout: Some(Duration { seconds: 0, nanos: 500_000_000 }),
            ..Default::default()
        };
        let failed = WorkflowExecutionFailedEventAttributes {
            failure: Some(Failure { message: "two\nlines, \u{1b}[2J\u{e9}".into(), ..Default::default() }),
            ..Default::default()
        };
        let started = Attributes::WorkflowExecutionStartedEventAttributes(started.into());
        let timer = Attributes::from(timer);
        let failed = Attributes::from(failed);
        let events = [
            event(1, EventType::WorkflowExecutionStarted, (5, 900_000_000), started.clone()),
            event(2, EventType::TimerStarted, (6, 150_000_000), timer),
            event(3, EventType::WorkflowExecutionFailed, (3605, 900_000_000), failed),
            // A server newer than this crate.
            HistoryEvent { event_id: 4, event_type: 9999, ..Default::default() },
        ];
        let mut timeline = Timeline::default();
        let lines = events.map(|event| timeline.line(&event, |failure| failure.message.clone()));
        let expected = [
            "   1       0.000  WorkflowExecutionStarted         Buy",
            "   2       0.250  TimerStarted                     timer 1, 0.5 s",
            "   3    3600.000  WorkflowExecutionFailed          two\\nlines, \\u{1b}[2J\u{e9}",
            "   4       0.000  Unknown(9999)",
        ];
        assert_eq!(lines, expected);
    }
}
