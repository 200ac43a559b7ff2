//! The calls of the workflow service, one module a subject: each checks its request, lets the engine decide, and answers.

pub(crate) mod call;
pub(super) mod direct;
pub(super) mod failures;
pub(crate) mod handover;
pub(super) mod history;
pub(super) mod info;
pub(super) mod namespace;
pub(super) mod poll;
pub(super) mod query;
pub(super) mod queues;
pub(super) mod refusal;
pub(super) mod respond;
pub(super) mod signal;
pub(super) mod start;
pub(super) mod tokens;
pub(super) mod update;
pub(crate) mod workflow;
