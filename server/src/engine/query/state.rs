//! Queries that wait for a workflow task.

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

    /// Starts with numbers that no earlier process has used: a worker may still have queries of such a process.
    pub(in crate::engine) fn number_from(&mut self, now: Time) {
        self.next_id = u64::try_from(now.nanos()).unwrap_or(0);
    }

    /// Removes the query of a caller that has gone.
    pub(crate) fn forget(&mut self, id: u64) {
        self.waiting.remove(&id);
    }
}
