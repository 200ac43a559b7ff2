//! The rules of durable workflows: `(state, request or moment, fresh ids) -> (events, effects)`.
//!
//! [`run::Run`] is one open run. Each sibling module adds the transitions of one subject; the text of a transition
//! reads like the events it writes. Numbers of events, tasks for workers and news for callers come out of
//! [`run::Run::close_transaction`].
//!
//! *Invariant.* Nothing in here has a clock, a thread, a socket or a store: time and fresh ids are arguments. So every
//! sequence of events can be told as a test. `clippy.toml` names what is denied.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub(crate) mod activity;
pub(crate) mod cancel;
mod close;
pub(crate) mod closed;
pub(crate) mod commands;
mod compare;
mod deadline;
pub(crate) mod describe;
mod due;
pub(crate) mod effects;
pub(crate) mod error;
pub(crate) mod event;
mod excess;
pub(crate) mod failure;
pub(crate) mod fold;
pub(crate) mod history;
mod marker;
mod memo;
pub(crate) mod overlay;
pub(crate) mod payload;
pub(crate) mod query;
pub(crate) mod recover;
mod retry;
pub(crate) mod run;
pub(crate) mod signal;
pub(crate) mod start;
pub(crate) mod state;
mod subject;
mod subjects;
#[cfg(test)]
mod tests;
pub(crate) mod time;
mod timer;
pub(crate) mod update;
pub(crate) mod workflow_task;
