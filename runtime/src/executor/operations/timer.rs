//! Timers: `Requested -> Running -> Fired | Cancelling -> Cancelled`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::command::v1::{CancelTimerCommandAttributes, StartTimerCommandAttributes};
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;

use super::machine::{Cancel, Key, Machine};
use super::outcome::Outcome;
use super::request::{Issuer, Request, Requested};
use crate::data::duration_to_wire;
use crate::executor::call_site::CallSite;

/// A timer that has no id yet.
pub(crate) struct TimerRequest {
    pub(crate) duration: Duration,
    pub(crate) summary: Option<String>,
}

impl Request for TimerRequest {
    type Machine = TimerOperation;

    fn deed(&self) -> Cow<'static, str> {
        "starts a timer".into()
    }

    fn issue(self, run: &impl Issuer, _: CallSite) -> Requested<TimerOperation> {
        let id = run.take_id();
        let timer_id = id.to_string();
        let attributes = CommandAttributes::StartTimerCommandAttributes(StartTimerCommandAttributes {
            timer_id: timer_id.clone(),
            start_to_fire_timeout: Some(duration_to_wire(self.duration)),
        });
        Requested {
            machine: TimerOperation { id, state: TimerState::Requested },
            key: Some(Key::Timer(timer_id.clone())),
            command: TimerCommand::Start { timer_id },
            attributes: Some(attributes),
            summary: self.summary,
        }
    }
}

/// The identity of a timer's command on replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TimerCommand {
    Start { timer_id: String },
    Cancel { timer_id: String },
}

impl fmt::Display for TimerCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { timer_id } => write!(f, "StartTimer({timer_id})"),
            Self::Cancel { timer_id } => write!(f, "CancelTimer({timer_id})"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct TimerOperation {
    id: u64,
    state: TimerState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimerState {
    /// The command is queued; history does not have its event yet.
    Requested,
    /// History has the event of the command.
    Running,
    Fired,
    /// The command that cancels it is queued; history does not have its event yet.
    Cancelling,
    Cancelled,
}

/// The timer fired.
pub(crate) struct Fired;

impl Machine for TimerOperation {
    type Command = TimerCommand;
    type Change = Fired;

    fn read(event: EventAttributes) -> Result<Option<(Key, Fired)>, EventAttributes> {
        match event {
            EventAttributes::TimerFiredEventAttributes(fired) => Ok(Some((Key::Timer(fired.timer_id), Fired))),
            other => Err(other),
        }
    }

    fn unknown(key: &Key) -> String {
        format!("there is no {key}")
    }

    fn recorded(event: &EventAttributes) -> Option<TimerCommand> {
        match event {
            EventAttributes::TimerStartedEventAttributes(timer) => {
                Some(TimerCommand::Start { timer_id: timer.timer_id.clone() })
            }
            EventAttributes::TimerCanceledEventAttributes(timer) => {
                Some(TimerCommand::Cancel { timer_id: timer.timer_id.clone() })
            }
            _ => None,
        }
    }

    fn confirmed(&mut self, _: i64) -> Option<Key> {
        if self.state == TimerState::Requested {
            self.state = TimerState::Running;
        }
        None
    }

    fn cancel_confirmed(&mut self, _: i64) -> Option<Key> {
        self.state = TimerState::Cancelled;
        None
    }

    fn ends_when_cancel_is_confirmed(&self) -> bool {
        self.state == TimerState::Cancelling
    }

    fn apply(&mut self, _: Fired) -> Result<Option<Outcome>, &'static str> {
        self.state = match self.state {
            TimerState::Running => TimerState::Fired,
            // The timer fired before the server received the command that cancels it.
            TimerState::Cancelling | TimerState::Cancelled => TimerState::Cancelled,
            TimerState::Requested => return Err("TimerFired before TimerStarted"),
            TimerState::Fired => return Err("TimerFired twice for one timer"),
        };
        Ok(Some(Outcome::Ready))
    }

    fn cancel(&mut self) -> Cancel<TimerCommand> {
        match self.state {
            TimerState::Requested => {
                self.state = TimerState::Cancelled;
                Cancel::Withdraw(Outcome::Cancelled)
            }
            TimerState::Running => {
                self.state = TimerState::Cancelling;
                let timer_id = self.id.to_string();
                let attributes = CancelTimerCommandAttributes { timer_id: timer_id.clone() };
                Cancel::Ask {
                    command: TimerCommand::Cancel { timer_id },
                    attributes: CommandAttributes::CancelTimerCommandAttributes(attributes),
                    outcome: Some(Outcome::Cancelled),
                }
            }
            TimerState::Fired | TimerState::Cancelling | TimerState::Cancelled => Cancel::Nothing,
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, TimerState::Fired | TimerState::Cancelled)
    }

    fn describe(&self, site: CallSite) -> String {
        match self.state {
            TimerState::Requested | TimerState::Running => format!("timer {} at {site}", self.id),
            TimerState::Fired | TimerState::Cancelling | TimerState::Cancelled => "a timer that is over".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> TimerOperation {
        let mut timer = TimerOperation { id: 1, state: TimerState::Requested };
        timer.confirmed(5);
        timer
    }

    #[test]
    fn a_timer_fires_once_and_only_after_it_started() {
        assert!(TimerOperation { id: 1, state: TimerState::Requested }.apply(Fired).is_err());
        let mut timer = started();
        timer.apply(Fired).unwrap();
        assert!(timer.is_over() && timer.apply(Fired).is_err());
        assert_eq!(timer.cancel(), Cancel::Nothing);
        assert_eq!(timer.state, TimerState::Fired);
    }

    #[test]
    fn cancelling_takes_back_what_has_not_left() {
        let mut requested = TimerOperation { id: 1, state: TimerState::Requested };
        assert_eq!(requested.cancel(), Cancel::Withdraw(Outcome::Cancelled));
        let mut timer = started();
        let Cancel::Ask { command, .. } = timer.cancel() else { panic!("the server runs the timer") };
        assert_eq!(command.to_string(), "CancelTimer(1)");
        assert!(timer.cancel() == Cancel::Nothing && !timer.is_over());
        timer.cancel_confirmed(6);
        assert!(timer.is_over());
    }
}
