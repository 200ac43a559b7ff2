//! The time of a task.

use crate::executor::core::Core;
use crate::executor::history::TaskStart;

/// The time of a task, which advances only if the task delivers an input.
pub(super) struct Clock {
    start: TaskStart,
    has_begun: bool,
}

impl Clock {
    pub(super) fn of(start: TaskStart) -> Self {
        Self { start, has_begun: false }
    }

    /// Advances the time before the first input is delivered.
    pub(super) fn begin(&mut self, core: &Core) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let attributes = &self.start.attributes;
            let history = (self.start.event_id, attributes.history_size_bytes, attributes.suggest_continue_as_new);
            core.begin_task(self.start.time, history);
        }
    }

    /// Whether the task has delivered an input; otherwise no code runs.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }
}
