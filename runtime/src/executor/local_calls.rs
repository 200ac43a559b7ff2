//! The local activities of a run that have not ended.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::operations::{LocalRequest, OperationId};

/// The local activities of a run.
#[derive(Default)]
pub(super) struct LocalCalls {
    /// Those that have been called and have not ended, by their numbers.
    pub(super) open: BTreeMap<u32, OperationId>,
    /// Those that were called since the workflow waited last.
    pub(super) called: Vec<OperationId>,
    /// Timers between two attempts, with the activities and the number of the next attempt.
    pub(super) backoffs: BTreeMap<OperationId, (OperationId, u32)>,
    /// Requests that the worker has not received yet.
    pub(super) requests: Vec<LocalRequest>,
    /// The latest end, as the workflow counts time.
    pub(super) last_end: Option<SystemTime>,
}

impl LocalCalls {
    /// The workflow's time when a task starts: it never goes back behind the end of a local activity.
    pub(super) fn not_before_last_end(&self, time: SystemTime) -> SystemTime {
        self.last_end.map_or(time, |end| end.max(time))
    }

    /// A call is taken back.
    pub(super) fn withdraw(&mut self, id: OperationId) {
        if self.called.contains(&id) {
            self.called.retain(|called| *called != id);
            self.open.retain(|_, open| *open != id);
        }
    }

    /// The timer before the next attempt of an activity.
    pub(super) fn take_timer(&mut self, id: OperationId) -> Option<OperationId> {
        let timer = self.backoffs.iter().find(|(_, (activity, _))| *activity == id).map(|(timer, _)| *timer)?;
        self.backoffs.remove(&timer);
        Some(timer)
    }
}
