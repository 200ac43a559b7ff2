//! The rules of durable workflows: `(state, request or deadline, fresh ids) -> (events, effects)`.
//!
//! [`run::Run`] is one open run. Each sibling module adds the transitions of one subject; the code of a transition
//! reads like the events it writes. [`run::Run::close_transaction`] returns the numbered events, the tasks for workers
//! and the notices for callers.
//!
//! *Invariant.* The engine has no clock, thread, socket or store: time and fresh ids are arguments. Tests can therefore
//! run any sequence of events. `clippy.toml` lists the denied items.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub(crate) mod activity;
mod attributes;
pub(crate) mod cancel;
pub(crate) mod child;
mod close;
pub(crate) mod closed;
pub(crate) mod commands;
mod compare;
mod continue_as_new;
mod cron;
mod deadline;
pub(crate) mod describe;
mod due;
pub(crate) mod effects;
pub(crate) mod error;
pub(crate) mod event;
mod excess;
pub(crate) mod external;
pub(crate) mod failure;
pub(crate) mod fold;
pub(crate) mod history;
pub(crate) mod intent;
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
mod successor;
#[cfg(test)]
mod tests;
pub(crate) mod time;
mod timer;
pub(crate) mod update;
pub(crate) mod workflow_task;
