//! Slots for activities that start with the response to a workflow task.

use tokio::sync::OwnedSemaphorePermit;

use super::runner::Activities;

/// How many activities of one workflow task may start with its answer.
const EAGER_AT_ONCE: usize = 3;

/// Slots that were put aside for activities that may come back with a task's answer.
#[derive(Default)]
pub(crate) struct EagerSlots(Vec<OwnedSemaphorePermit>);

impl EagerSlots {
    /// The slot of one that came back.
    pub(crate) fn slot(&mut self) -> Option<OwnedSemaphorePermit> {
        self.0.pop()
    }
}

impl Activities {
    /// Puts one more slot aside, if there is one.
    pub(crate) fn reserve_eager(&self, reserved: &mut EagerSlots) -> bool {
        if !self.eager || reserved.0.len() == EAGER_AT_ONCE || self.stop_polling.begin.is_cancelled() {
            return false;
        }
        let slot = self.slots.clone().try_acquire_owned().ok();
        let has_one = slot.is_some();
        reserved.0.extend(slot);
        has_one
    }
}
