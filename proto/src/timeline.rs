//! Histories as text for people, one line per event: for the client crate and for the `everloop` program.

use std::collections::{BTreeMap, HashMap};

use prost_types::{Duration, Timestamp};

use crate::temporal::api::enums::v1::EventType;
use crate::temporal::api::failure::v1::Failure;
use crate::temporal::api::history::v1::HistoryEvent;
use crate::temporal::api::history::v1::history_event::Attributes;

/// Formats the lines of one history.
///
/// ```text
///    1       0.000  WorkflowExecutionStarted         OneClickBuy
///    5       0.004  TimerStarted                     timer 1, 10 s
/// ```
#[derive(Debug, Default)]
pub struct Timeline {
    start: Option<Timestamp>,
    /// Names of the activities that have not ended, by the event that scheduled them.
    activities: BTreeMap<i64, String>,
    /// Names of accepted updates without a result, by their id.
    updates: HashMap<String, String>,
}

impl Timeline {
    /// Returns the line of the next event: its number, the seconds since the first event, its name, and a summary.
    ///
    /// `failure` formats a failure. Line breaks are escaped, so the result is one line.
    pub fn line(&mut self, event: &HistoryEvent, failure: impl Fn(&Failure) -> String) -> String {
        let time = event.event_time;
        self.start = self.start.or(time);
        let since = self.start.zip(time).map_or(0.0, |(start, time)| seconds_between(&start, &time)).max(0.0);
        let about = one_line(&self.about(event, failure));
        let line = format!("{:>4} {since:>11.3}  {:<32} {about}", event.event_id, event_name(event));
        line.trim_end().to_owned()
    }

    /// Returns a line for each activity that is still pending after the last event, such as one that is being retried: histories
    /// have no event for that. Returns none once the run has closed.
    pub fn pending(&self) -> impl Iterator<Item = String> {
        self.activities.iter().map(|(scheduled, activity)| {
            let about = format!("{activity}, since event {scheduled}");
            format!("{:>4} {:>11}  {:<32} {}", "", "", "(activity pending)", one_line(&about))
        })
    }

    /// Summarizes an event in a few words.
    fn about(&mut self, event: &HistoryEvent, failure: impl Fn(&Failure) -> String) -> String {
        use Attributes::*;
        let failure = |of: &Option<Failure>| of.as_ref().map(&failure).unwrap_or_default();
        if is_last(event) {
            self.activities.clear();
        }
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
                let name = format!("{kind}, id {}", activity.activity_id);
                self.activities.insert(event.event_id, name.clone());
                name
            }
            Some(ActivityTaskStartedEventAttributes(started)) => {
                let name = self.activities.get(&started.scheduled_event_id).cloned().unwrap_or_default();
                match started.attempt {
                    ..=1 => name,
                    attempt => {
                        joined(name, ", ", format!("attempt {attempt}, after: {}", failure(&started.last_failure)))
                    }
                }
            }
            Some(ActivityTaskCompletedEventAttributes(completed)) => self.ended(completed.scheduled_event_id),
            Some(ActivityTaskFailedEventAttributes(failed)) => {
                joined(self.ended(failed.scheduled_event_id), ": ", failure(&failed.failure))
            }
            Some(ActivityTaskTimedOutEventAttributes(timed_out)) => {
                joined(self.ended(timed_out.scheduled_event_id), ": ", failure(&timed_out.failure))
            }
            Some(ActivityTaskCanceledEventAttributes(canceled)) => self.ended(canceled.scheduled_event_id),
            Some(ActivityTaskCancelRequestedEventAttributes(asked)) => {
                self.activities.get(&asked.scheduled_event_id).cloned().unwrap_or_default()
            }
            Some(WorkflowExecutionUpdateAcceptedEventAttributes(accepted)) => {
                let id = &accepted.protocol_instance_id;
                let input = accepted.accepted_request.as_ref().and_then(|request| request.input.as_ref());
                let name = joined(input.map_or_else(String::new, |input| input.name.clone()), ", id ", id.clone());
                self.updates.insert(id.clone(), name.clone());
                name
            }
            Some(WorkflowExecutionUpdateCompletedEventAttributes(completed)) => {
                let id = completed.meta.as_ref().map(|meta| meta.update_id.clone()).unwrap_or_default();
                self.updates.remove(&id).unwrap_or(id)
            }
            _ => String::new(),
        }
    }

    /// Returns the name of an activity that ends.
    fn ended(&mut self, scheduled_event_id: i64) -> String {
        self.activities.remove(&scheduled_event_id).unwrap_or_default()
    }
}

/// Whether the event closes the run.
fn is_last(event: &HistoryEvent) -> bool {
    use EventType::*;
    let closes = [
        WorkflowExecutionCompleted,
        WorkflowExecutionFailed,
        WorkflowExecutionCanceled,
        WorkflowExecutionTerminated,
        WorkflowExecutionTimedOut,
        WorkflowExecutionContinuedAsNew,
    ];
    closes.contains(&event.event_type())
}

/// Joins both, with a separator if neither is empty.
fn joined(first: String, separator: &str, second: String) -> String {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (_, true) => first,
        _ => first + separator + &second,
    }
}

/// Shortens `EVENT_TYPE_TIMER_STARTED` to `TimerStarted`.
#[must_use]
pub fn event_name(event: &HistoryEvent) -> String {
    let Ok(kind) = EventType::try_from(event.event_type) else { return format!("Unknown({})", event.event_type) };
    let words = kind.as_str_name().trim_start_matches("EVENT_TYPE_").split('_');
    words.map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect()
}

/// Whether texts put an error type's name before its message. They do not where it adds nothing: every error of its kind has the
/// name, or the message begins with it.
#[must_use]
pub fn is_error_type_named(name: &str, message: &str) -> bool {
    !matches!(name, "" | "Error" | "WorkflowError" | "ActivityError") && !message.starts_with(name)
}

/// Escapes line breaks and other characters that would move a terminal's cursor.
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
    use crate::temporal::api::common::v1::{ActivityType, WorkflowType};
    use crate::temporal::api::history::v1::{
        ActivityTaskCompletedEventAttributes, ActivityTaskFailedEventAttributes, ActivityTaskScheduledEventAttributes,
        ActivityTaskStartedEventAttributes, TimerStartedEventAttributes, WorkflowExecutionFailedEventAttributes,
        WorkflowExecutionStartedEventAttributes, WorkflowExecutionTerminatedEventAttributes,
        WorkflowExecutionUpdateAcceptedEventAttributes, WorkflowExecutionUpdateCompletedEventAttributes,
    };
    use crate::temporal::api::update::v1::{Input, Meta, Request};

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
    fn error_type_is_named_only_where_it_adds_something() {
        assert!(is_error_type_named("Declined", "no money"));
        assert!(!is_error_type_named("Declined", "Declined { code: 51 }"));
        assert!(!is_error_type_named("ActivityError", "no money"));
        assert!(!is_error_type_named("", "no money"));
    }

    #[test]
    fn each_event_is_formatted_on_one_line() {
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

    #[test]
    fn activities_and_updates_keep_their_names_and_pending_ones_are_listed() {
        let scheduled = |name: &str, id: &str| {
            Attributes::from(ActivityTaskScheduledEventAttributes {
                activity_type: Some(ActivityType { name: name.into() }),
                activity_id: id.into(),
                ..Default::default()
            })
        };
        let started = ActivityTaskStartedEventAttributes {
            scheduled_event_id: 1,
            attempt: 2,
            last_failure: Some(Failure { message: "out of stock".into(), ..Default::default() }),
            ..Default::default()
        };
        let completed = ActivityTaskCompletedEventAttributes { scheduled_event_id: 1, ..Default::default() };
        let failed = ActivityTaskFailedEventAttributes {
            scheduled_event_id: 2,
            failure: Some(Failure { message: "no such street".into(), ..Default::default() }),
            ..Default::default()
        };
        let accepted = WorkflowExecutionUpdateAcceptedEventAttributes {
            protocol_instance_id: "u-1".into(),
            accepted_request: Some(Request {
                input: Some(Input { name: "add".into(), ..Default::default() }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let answered = WorkflowExecutionUpdateCompletedEventAttributes {
            meta: Some(Meta { update_id: "u-1".into(), ..Default::default() }),
            ..Default::default()
        };
        let kinds = [
            (EventType::ActivityTaskScheduled, scheduled("pack", "1")),
            (EventType::ActivityTaskScheduled, scheduled("ship", "2")),
            (EventType::ActivityTaskScheduled, scheduled("bill", "3")),
            (EventType::ActivityTaskStarted, started.into()),
            (EventType::ActivityTaskCompleted, completed.into()),
            (EventType::ActivityTaskFailed, failed.into()),
            (EventType::WorkflowExecutionUpdateAccepted, accepted.into()),
            (EventType::WorkflowExecutionUpdateCompleted, answered.into()),
        ];
        let mut timeline = Timeline::default();
        let lines: Vec<_> = (1..)
            .zip(kinds)
            .map(|(id, (kind, attributes))| {
                timeline.line(&event(id, kind, (5, 0), attributes), |failure| failure.message.clone())[18..].to_owned()
            })
            .collect();
        let expected = [
            "ActivityTaskScheduled            pack, id 1",
            "ActivityTaskScheduled            ship, id 2",
            "ActivityTaskScheduled            bill, id 3",
            "ActivityTaskStarted              pack, id 1, attempt 2, after: out of stock",
            "ActivityTaskCompleted            pack, id 1",
            "ActivityTaskFailed               ship, id 2: no such street",
            "WorkflowExecutionUpdateAccepted  add, id u-1",
            "WorkflowExecutionUpdateCompleted add, id u-1",
        ];
        assert_eq!(lines, expected);
        let pending: Vec<_> = timeline.pending().collect();
        assert_eq!(pending, ["                  (activity pending)               bill, id 3, since event 3"]);
        let terminated = Attributes::from(WorkflowExecutionTerminatedEventAttributes::default());
        timeline.line(&event(9, EventType::WorkflowExecutionTerminated, (5, 0), terminated), |_| String::new());
        assert_eq!(timeline.pending().count(), 0);
    }
}
