//! What the history of a closed run says that its row in the lists does not.

use std::collections::BTreeSet;

use crate::engine::event::EventId;
use crate::engine::fold::{Fold, Unrecoverable};
use crate::engine::state::Info;
use crate::engine::update::state::{UpdateState, Updates};

/// A closed run, from its events.
#[derive(Debug)]
pub(crate) struct ClosedState {
    pub(crate) info: Info,
    pub(crate) cancel_requested: bool,
    /// WorkflowTaskStarted of the last completed workflow task; 0 without one.
    pub(crate) previous_started_event_id: EventId,
    pub(crate) signal_request_ids: BTreeSet<String>,
    updates: Updates,
}

impl Fold {
    /// The run, whose last event has closed it.
    ///
    /// # Errors
    ///
    /// There was no event.
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
    /// How far an update of the run came, if a worker accepted it.
    pub(crate) fn update(&self, id: &str) -> Option<UpdateState> {
        self.updates.find(id)
    }
}
