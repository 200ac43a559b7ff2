//! Requests: workflow code asks for an operation.

use std::borrow::Cow;
use std::sync::Arc;

use everloop_proto::temporal::api::command::v1::command::Attributes;

use super::machine::{Key, Machine};
use crate::data::WorkerActivityOptions;
use crate::executor::call_site::CallSite;

/// A request for an operation, which has no id yet.
pub(crate) trait Request {
    type Machine: Machine;

    /// The request as a verb and its object, for the panic of code that may only read.
    fn deed(&self) -> Cow<'static, str>;

    /// Makes the operation and its command; `site` is the line of code that asks.
    fn issue(self, run: &impl Issuer, site: CallSite) -> Requested<Self::Machine>;
}

/// The run that a request is made in.
pub(crate) trait Issuer {
    /// The next id for an operation: one counter for timers and activities, in order of issue.
    fn take_id(&self) -> u64;

    fn is_replaying(&self) -> bool;

    /// Whether payloads are needed: replay sends none, and compares them only on demand.
    fn needs_payloads(&self) -> bool;

    fn worker_options(&self) -> Arc<WorkerActivityOptions>;

    /// The task queue of the workflow itself.
    fn task_queue(&self) -> String;
}

/// An operation with the command that asks for it.
pub(crate) struct Requested<M: Machine> {
    pub(crate) machine: M,
    pub(crate) command: M::Command,
    /// The content of the command. Absent on replay, where nothing is sent.
    pub(crate) attributes: Option<Attributes>,
    pub(crate) summary: Option<String>,
    /// Finds the operation from now on.
    pub(crate) key: Option<Key>,
}
