//! The interface of a kind of operation: a state machine that its commands start and events move.

use std::fmt;

use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;

use super::outcome::Outcome;
use crate::executor::call_site::CallSite;
use crate::raw;

/// One operation of one kind, from its command to its end.
pub(crate) trait Machine {
    /// The identity of its commands on replay: kind and ids, never payloads.
    type Command;
    /// A change by an event.
    type Change;

    /// Takes an event about operations of this kind, with the key that finds the operation: `None` if workflow code cannot
    /// notice the event. Returns events about anything else.
    fn read(event: EventAttributes) -> Result<Option<(Key, Self::Change)>, EventAttributes>;

    /// The reason why an event with a key that finds no operation is impossible.
    fn unknown(key: &Key) -> String;

    /// The command that became this event.
    fn recorded(event: &EventAttributes) -> Option<Self::Command>;

    /// The inputs in an event and in the command that became it.
    fn inputs<'a>(_: &'a EventAttributes, _: &'a CommandAttributes) -> Option<Compared<'a>> {
        None
    }

    /// History has the event of its command. Returns the key by which later events name it, where that is known only now.
    fn confirmed(&mut self, event_id: i64) -> Option<Key>;

    /// History has the event of the command that cancelled it.
    fn cancel_confirmed(&mut self) {}

    /// Whether the event of the command that cancelled it is the last to name it.
    fn ends_when_cancel_is_confirmed(&self) -> bool {
        false
    }

    /// Applies an event. Returns the outcome if the event decides it, or the reason why the event is impossible.
    fn apply(&mut self, change: Self::Change) -> Result<Option<Outcome>, &'static str>;

    fn cancel(&mut self) -> Cancel<Self::Command>;

    /// Whether no further event names it.
    fn is_over(&self) -> bool;

    /// One line of a stack trace; `site` is the line of code that issued it.
    fn describe(&self, site: CallSite) -> String;
}

/// The name that an event has for its operation.
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

/// The next step of a cancellation, and whether the workflow goes on at once.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "each lives for a moment")]
pub(crate) enum Cancel<Command> {
    /// The command that asks for the operation has not left: take it back. The workflow goes on.
    Withdraw(Outcome),
    /// Ask the server. With an outcome the workflow goes on at once, else when an event decides.
    Ask { command: Command, attributes: CommandAttributes, outcome: Option<Outcome> },
    /// Tell the worker, which runs it. With an outcome the workflow goes on at once, and history has that in a marker.
    Worker { outcome: Option<Outcome> },
    /// Send nothing; the workflow goes on.
    GoOn(Outcome),
    /// The operation is over, or was cancelled before.
    Nothing,
}

impl<Command> Cancel<Command> {
    /// The same with the command of any operation.
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

/// Compared to compare: those that history has, and those that the code passes now.
pub(crate) struct Compared<'a> {
    pub(crate) recorded: &'a Option<raw::Payloads>,
    pub(crate) issued: &'a Option<raw::Payloads>,
}
