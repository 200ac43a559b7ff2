//! Queries that wait for a workflow task to ride on.

use std::collections::BTreeMap;

use crate::api::query::WorkflowQuery;
use crate::engine::time::Time;

/// The queries of one run that wait for a workflow task.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    pub(super) waiting: BTreeMap<u64, WorkflowQuery>,
    pub(super) next_id: u64,
}

impl Queries {
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (u64, &WorkflowQuery)> {
        self.waiting.iter().map(|(id, query)| (*id, query))
    }

    /// Goes on with numbers that no process before this one has given out: a worker may still have queries of it.
    pub(in crate::engine) fn number_from(&mut self, now: Time) {
        self.next_id = u64::try_from(now.nanos()).unwrap_or(0);
    }

    /// The caller has gone.
    pub(crate) fn forget(&mut self, id: u64) {
        self.waiting.remove(&id);
    }
}
