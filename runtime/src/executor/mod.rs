//! The deterministic executor: history in, commands out.
//!
//! A [`Run`] is one execution of one workflow. [`Run::begin`] takes a workflow task of the server and returns a [`Step`]: the
//! commands that complete the task, a request for more history, or the reason why the task fails. Workflow code reads time,
//! random numbers and results only from history, so the same history leads to the same commands, however it is cut into
//! tasks and pages. The executor uses no clock, socket or thread.
//!
//! The parts, from the outside in:
//!
//! * [`run`](self::run): the contract, and the order of things within a task;
//! * [`history`](self::history): events grouped into tasks, each with its inputs and its outputs;
//! * [`event`](self::event): the event table: the meaning of each kind of event;
//! * [`core`](self::core): shared by the futures of workflow code and the executor: operations, scopes, commands;
//! * [`issued`](self::issued): the commands of a task, and their comparison with history;
//! * [`command`](self::command): the identity of a command on replay;
//! * [`operations`](self::operations): the operations that history knows, one file for each kind;
//! * [`local_calls`](self::local_calls): the local activities that the worker runs;
//! * [`coroutine`](self::coroutine): futures, and the queue that orders them by their wakes;
//! * [`scope`](self::scope), [`update`](self::update), [`patches`](self::patches), [`end`](self::end): one job each.
//!
//! *Invariant: `executor/` issues the same commands for the same history, however it is cut into tasks and pages.*
//!
//! *Invariant: the files import each other without circles; a parent re-exports what its children define, or is imported
//! by them, never both.*
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod call_site;
mod command;
mod core;
mod coroutine;
pub(crate) mod current;
mod definition;
mod end;
mod error;
mod event;
mod history;
mod info;
mod issued;
mod local_calls;
mod operations;
mod panic;
mod patches;
mod payloads;
mod random;
mod rules;
mod run;
mod scope;
mod update;

pub use self::core::OnlyInsideAWorkflow;
pub(crate) use self::core::pending::{OnDrop, Pending};
pub(crate) use self::core::{Core, SharedCore, WorkflowOnly};
#[cfg(all(test, feature = "worker"))]
pub(crate) mod tests;

pub use coroutine::LocalFuture;
pub(crate) use coroutine::{LastLine, Output};
pub(crate) use definition::{Definition, Instance, Started};
pub(crate) use error::{ReplayError, TaskFailure};
pub(crate) use event::is_output;
pub(crate) use operations::{
    ActivityRequest, CancelRequest, ChildRequest, EndedAt, LocalActivityRequest, LocalActivityTask, LocalEnded,
    LocalRequest, OperationId, Outcome, SignalRequest, TimerRequest,
};
pub(crate) use panic::{Panic, catch, discard, install_hook};
pub(crate) use patches::flags_for_others;
pub use random::Random;
pub(crate) use rules::SDK_NAME;
pub(crate) use run::query::QueryFailure;
pub(crate) use run::{Completion, Run, RunOptions, Step, Task, listed};
pub(crate) use scope::ScopeId;
pub(crate) use update::Update;

pub use info::WorkflowInfo;
