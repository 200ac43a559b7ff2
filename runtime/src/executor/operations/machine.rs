//! The interface of a kind of operation: a state machine that commands start and events change.

use std::fmt;

use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;

use super::outcome::Outcome;
use crate::executor::call_site::CallSite;
use crate::raw;

/// One operation of one kind, from its command to its end.
pub(crate) trait Machine {
    /// The identity of the kind's commands on replay: kind and ids, never payloads.
    type Command;
    /// A change by an event.
    type Change;

    /// Reads an event about an operation of this kind, and returns the operation's key: `None` if workflow code cannot observe the
    /// event. Returns other events as the error.
    fn read(event: EventAttributes) -> Result<Option<(Key, Self::Change)>, EventAttributes>;

    /// The error text for an event whose key belongs to no operation.
    fn unknown(key: &Key) -> String;

    /// The command for which this event was written.
    fn recorded(event: &EventAttributes) -> Option<Self::Command>;

    /// The inputs in an event and in its command.
    fn inputs<'a>(_: &'a EventAttributes, _: &'a CommandAttributes) -> Option<Compared<'a>> {
        None
    }

    /// Handles the event of the operation's command. Returns the key by which later events name the operation, if it was not known
    /// before.
    fn confirmed(&mut self, event_id: i64) -> Option<Key>;

    /// Handles the event of the command that cancelled the operation. Returns the key by which later events name that event, if
    /// any do.
    fn cancel_confirmed(&mut self, _event_id: i64) -> Option<Key> {
        None
    }

    /// Whether no event names the operation after that of the command that cancelled it.
    fn ends_when_cancel_is_confirmed(&self) -> bool {
        false
    }

    /// Applies an event. Returns the outcome if the event decides it, or the reason why the event is impossible.
    fn apply(&mut self, change: Self::Change) -> Result<Option<Outcome>, &'static str>;

    fn cancel(&mut self) -> Cancel<Self::Command>;

    /// Whether no further event names the operation.
    fn is_over(&self) -> bool;

    /// One line of a stack trace; `site` is the line of code that issued the operation.
    fn describe(&self, site: CallSite) -> String;
}

/// The key by which an event names its operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// The event of the operation's command.
    Event(i64),
    /// The timer's id.
    Timer(String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event_id) => write!(f, "event {event_id}"),
            Self::Timer(timer_id) => write!(f, "timer `{timer_id}`"),
        }
    }
}

/// The next step of a cancellation. An outcome means that the operation resolves at once.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "each lives for a moment")]
pub(crate) enum Cancel<Command> {
    /// The command of the operation was not sent yet and is withdrawn.
    Withdraw(Outcome),
    /// A command requests the cancellation from the server. Without an outcome, a later event resolves the operation.
    Ask { command: Command, attributes: CommandAttributes, outcome: Option<Outcome> },
    /// The worker, which runs the operation, is notified. A marker in history records the outcome, if there is one.
    Worker { outcome: Option<Outcome> },
    /// No command is sent.
    GoOn(Outcome),
    /// The operation is over, or was cancelled before.
    Nothing,
}

impl<Command> Cancel<Command> {
    /// Converts the command into that of any operation.
    pub(super) fn into_any<Any: From<Command>>(self) -> Cancel<Any> {
        match self {
            Self::Withdraw(outcome) => Cancel::Withdraw(outcome),
            Self::Ask { command, attributes, outcome } => Cancel::Ask { command: command.into(), attributes, outcome },
            Self::Worker { outcome } => Cancel::Worker { outcome },
            Self::GoOn(outcome) => Cancel::GoOn(outcome),
            Self::Nothing => Cancel::Nothing,
        }
    }
}

/// Payloads to compare: those in history, and those of the current code.
pub(crate) struct Compared<'a> {
    pub(crate) recorded: &'a Option<raw::Payloads>,
    pub(crate) issued: &'a Option<raw::Payloads>,
}
