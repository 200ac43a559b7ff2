//! Operations that history knows: a command asks for each, and events move it.
//!
//! Each kind has one file with its request, command, states, changes by events, cancellation, line in a stack trace, and
//! part of replay matching. `table.rs` lists the files; everything else in the executor is the same for all of them.

mod activity;
mod child;
mod entry;
mod external;
mod local_activity;
mod local_marker;
mod machine;
mod other_command;
mod other_requests;
mod other_workflow;
mod outcome;
mod request;
mod table;
mod timer;

pub(crate) use self::activity::ActivityRequest;
pub(crate) use self::entry::OperationId;
pub(super) use self::entry::{Kind, Operation};
pub(super) use self::local_activity::LocalActivityOperation;
pub(crate) use self::local_activity::{EndedAt, LocalActivityRequest, LocalActivityTask, LocalEnded, LocalRequest};
pub(super) use self::machine::{Cancel, Compared, Key, Machine};
pub(crate) use self::other_requests::{CancelRequest, ChildRequest, SignalRequest};
pub(crate) use self::outcome::Outcome;
pub(super) use self::request::{Issuer, Request, Requested};
pub(super) use self::table::{Change, Command, Durable, inputs};
pub(crate) use self::timer::TimerRequest;
