//! The table of the kinds of operations: enums of all kinds, which pass each call to their machine.

use std::fmt;

use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;

use super::machine::{Cancel, Compared, Key, Machine};
use super::outcome::Outcome;
use crate::executor::call_site::CallSite;

/// Makes the enums of all operations from a list of machines and their files.
macro_rules! table {
    ($($Name:ident = $machine:ty,)*) => {
        /// The state of one operation of any kind.
        pub(crate) enum Durable {
            $($Name($machine),)*
        }

        /// The identity of a command of any operation.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum Command {
            $($Name(<$machine as Machine>::Command),)*
        }

        /// A change by an event of an operation of any kind.
        pub(in crate::executor) enum Change {
            $($Name(<$machine as Machine>::Change),)*
        }

        $(
            impl From<$machine> for Durable {
                fn from(machine: $machine) -> Self {
                    Self::$Name(machine)
                }
            }

            impl From<<$machine as Machine>::Command> for Command {
                fn from(command: <$machine as Machine>::Command) -> Self {
                    Self::$Name(command)
                }
            }
        )*

        impl fmt::Display for Command {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$Name(command) => command.fmt(f),)*
                }
            }
        }

        impl Command {
            /// The command for which this event was written.
            pub(in crate::executor) fn recorded(event: &EventAttributes) -> Option<Self> {
                $(
                    if let Some(command) = <$machine>::recorded(event) {
                        return Some(Self::$Name(command));
                    }
                )*
                None
            }
        }

        /// The inputs in an event and in its command.
        pub(in crate::executor) fn inputs<'a>(event: &'a EventAttributes, command: &'a CommandAttributes) -> Option<Compared<'a>> {
            None$(.or_else(|| <$machine>::inputs(event, command)))*
        }

        impl Change {
            /// Reads an event about an operation: `None` if workflow code cannot observe it. Returns other events as the error.
            pub(in crate::executor) fn read(event: EventAttributes) -> Result<Option<(Key, Self)>, EventAttributes> {
                $(
                    let event = match <$machine>::read(event) {
                        Ok(read) => return Ok(read.map(|(key, change)| (key, Self::$Name(change)))),
                        Err(event) => event,
                    };
                )*
                Err(event)
            }

            /// The error text for an event whose key belongs to no operation.
            pub(in crate::executor) fn unknown(&self, key: &Key) -> String {
                match self {
                    $(Self::$Name(_) => <$machine>::unknown(key),)*
                }
            }
        }

        impl Durable {
            pub(in crate::executor) fn confirmed(&mut self, event_id: i64) -> Option<Key> {
                match self {
                    $(Self::$Name(machine) => machine.confirmed(event_id),)*
                }
            }

            pub(in crate::executor) fn cancel_confirmed(&mut self, event_id: i64) -> Option<Key> {
                match self {
                    $(Self::$Name(machine) => machine.cancel_confirmed(event_id),)*
                }
            }

            pub(in crate::executor) fn ends_when_cancel_is_confirmed(&self) -> bool {
                match self {
                    $(Self::$Name(machine) => machine.ends_when_cancel_is_confirmed(),)*
                }
            }

            pub(in crate::executor) fn apply(&mut self, change: Change) -> Result<Option<Outcome>, &'static str> {
                match (self, change) {
                    $((Self::$Name(machine), Change::$Name(change)) => machine.apply(change),)*
                    _ => Err("the event is about an operation of another kind"),
                }
            }

            pub(in crate::executor) fn cancel(&mut self) -> Cancel<Command> {
                match self {
                    $(Self::$Name(machine) => machine.cancel().into_any(),)*
                }
            }

            pub(in crate::executor) fn is_over(&self) -> bool {
                match self {
                    $(Self::$Name(machine) => machine.is_over(),)*
                }
            }

            pub(in crate::executor) fn describe(&self, site: CallSite) -> String {
                match self {
                    $(Self::$Name(machine) => machine.describe(site),)*
                }
            }
        }
    };
}

// The operations. A new kind is a file beside this one and a line here.
table! {
    Timer = super::timer::TimerOperation,
    Activity = super::activity::ActivityOperation,
    OtherWorkflow = super::other_workflow::OtherOperation,
    Local = super::local_activity::LocalActivityOperation,
}
