//! The time of a task.

use crate::executor::core::Core;
use crate::executor::history::TaskStart;

/// The time of a task, which only moves if the task delivers something.
pub(super) struct Clock {
    start: TaskStart,
    has_begun: bool,
}

impl Clock {
    pub(super) fn of(start: TaskStart) -> Self {
        Self { start, has_begun: false }
    }

    /// The task delivers something.
    pub(super) fn begin(&mut self, core: &Core) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let attributes = &self.start.attributes;
            let history = (self.start.event_id, attributes.history_size_bytes, attributes.suggest_continue_as_new);
            core.begin_task(self.start.time, history);
        }
    }

    /// Whether the task has delivered something: otherwise nothing moves.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }
}
