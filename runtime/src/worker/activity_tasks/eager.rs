//! Slots for activities that start with the response to a workflow task.

use tokio::sync::OwnedSemaphorePermit;

use super::runner::ActivityRunner;

/// The number of activities that may start with the response to one workflow task.
const EAGER_AT_ONCE: usize = 3;

/// Slots for activities that may start with the response to a workflow task.
#[derive(Default)]
pub(crate) struct EagerSlots(Vec<OwnedSemaphorePermit>);

impl EagerSlots {
    /// Takes the slot of one activity that starts.
    pub(crate) fn slot(&mut self) -> Option<OwnedSemaphorePermit> {
        self.0.pop()
    }
}

impl ActivityRunner {
    /// Reserves one more slot. Returns whether one was free.
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
