//! State of a closed run that its history holds and its visibility row does not.

use std::collections::BTreeSet;

use crate::engine::event::EventId;
use crate::engine::fold::{Fold, Unrecoverable};
use crate::engine::state::Info;
use crate::engine::update::state::{UpdateState, Updates};

/// The state of a closed run, rebuilt from its events.
#[derive(Debug)]
pub(crate) struct ClosedState {
    pub(crate) info: Info,
    pub(crate) cancel_requested: bool,
    /// WorkflowTaskStarted of the last completed workflow task; 0 if none completed.
    pub(crate) previous_started_event_id: EventId,
    pub(crate) signal_request_ids: BTreeSet<String>,
    updates: Updates,
}

impl Fold {
    /// Returns the closed run after its last event.
    ///
    /// # Errors
    ///
    /// Fails if no event was applied.
    pub(crate) fn into_closed(self) -> Result<ClosedState, Unrecoverable> {
        let run = self.into_run()?;
        Ok(ClosedState {
            info: run.info,
            cancel_requested: run.state.cancel_requested,
            previous_started_event_id: run.state.previous_started_event_id,
            signal_request_ids: run.signal_request_ids,
            updates: run.state.updates,
        })
    }
}

impl ClosedState {
    /// Returns the state of an update of this run, if a worker accepted it.
    pub(crate) fn update(&self, id: &str) -> Option<UpdateState> {
        self.updates.find(id)
    }
}
