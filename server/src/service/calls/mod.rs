//! The calls of the workflow service, one module per subject: each validates its request, calls the engine and builds
//! the response.

pub(super) mod activities;
pub(crate) mod call;
pub(super) mod direct;
pub(super) mod failures;
pub(crate) mod handover;
pub(super) mod history;
pub(super) mod info;
mod known;
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
