//! The deterministic executor: history in, commands out.
//!
//! A [`Run`] is one execution of one workflow. [`Run::begin`] takes a workflow task as the server sent it and returns a
//! [`Step`]: the commands that complete the task, a request for more history, or the reason why the task fails. Workflow
//! code sees time, random numbers and results from history alone, so the same history leads to the same commands, however
//! it is cut into tasks and pages. Nothing here knows a clock, a socket or a thread.
//!
//! The parts, from the outside in:
//!
//! * [`run`](self::run): the contract, and the order of things within a task;
//! * [`history`](self::history): events grouped into tasks, each with its inputs and its outputs;
//! * [`event`](self::event): the event table: the meaning of each kind of event;
//! * [`operations`](self::operations): the operations that history knows, one file for each kind;
//! * [`core`](self::core): shared by the futures of workflow code and the executor: operations, scopes, commands;
//! * [`coroutine`](self::coroutine): futures, and the queue that orders them by their wakes;
//! * [`command`](self::command): the commands of a task, and whether history agrees;
//! * [`scope`](self::scope), [`update`](self::update), [`end`](self::end): one job each.
//!
//! *Invariant: `executor/` issues the same commands for the same history, however it is cut into tasks and pages.*
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

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
mod operations;
mod panic;
mod payloads;
mod random;
mod rules;
mod run;
mod scope;
mod update;

pub use self::core::OnlyInsideAWorkflow;
pub(crate) use self::core::{Core, Pending, SharedCore, WorkflowOnly};
#[cfg(all(test, feature = "worker"))]
pub(crate) mod tests;

pub use coroutine::LocalFuture;
pub(crate) use coroutine::{LastLine, Output};
pub(crate) use definition::{Definition, Instance, Started};
pub(crate) use error::{ReplayError, TaskFailure};
pub(crate) use event::is_output;
pub(crate) use operations::{ActivityRequest, OnDrop, OperationId, Outcome};
pub(crate) use panic::{Panic, catch, discard, install_hook};
pub use random::Random;
pub(crate) use rules::SDK_NAME;
pub(crate) use run::{Completion, QueryFailure, Run, RunOptions, Step, Task, listed};
pub(crate) use scope::ScopeId;
pub(crate) use update::Update;

pub use info::WorkflowInfo;
