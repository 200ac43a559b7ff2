//! Requests of workflow code for operations.

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

    /// Creates the operation and its command; `site` is the requesting line of code.
    fn issue(self, run: &impl Issuer, site: CallSite) -> Requested<Self::Machine>;
}

/// The run of a request.
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

/// An operation with its command.
pub(crate) struct Requested<M: Machine> {
    pub(crate) machine: M,
    pub(crate) command: M::Command,
    /// The attributes of the command. Absent on replay, which sends nothing.
    pub(crate) attributes: Option<Attributes>,
    pub(crate) summary: Option<String>,
    /// The key by which events name the operation, if it is known already.
    pub(crate) key: Option<Key>,
}
