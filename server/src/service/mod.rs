//! The services of an engine: requests in, answers out, around the transitions of [`crate::engine`].
//!
//! [`core`] has the runs and their locks; each other module has the calls of one subject.

pub(crate) mod call;
mod closed;
mod closed_runs;
mod core;
mod direct;
mod failures;
pub(crate) mod handle;
pub(crate) mod handover;
mod history;
mod idle;
mod info;
mod namespace;
mod poll;
mod query;
mod queues;
mod recovery;
mod refusal;
mod respond;
mod signal;
mod start;
mod tokens;
mod update;
pub(crate) mod workflow;

#[cfg(test)]
mod tests;
