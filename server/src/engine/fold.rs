//! A run, open or closed, from its events.
//!
//! An event changes the state in one way, whoever applies it ([`Run::apply`]): an event that is written is applied at once, also
//! when it waits in the buffer; a run from the store is its events applied one after the other.

use std::sync::Arc;

use crate::engine::event::HistoryEvent;
use crate::engine::run::Run;
use crate::model::VisibilityRow;

/// What tells a run from all others. The first event names only some of it.
#[derive(Clone, Debug)]
pub(crate) struct RunIds {
    pub(crate) namespace: Arc<str>,
    pub(crate) workflow_id: Arc<str>,
    pub(crate) run_id: Arc<str>,
    pub(crate) create_request_id: Arc<str>,
}

impl RunIds {
    /// Those of a run with this row, whose namespace has this name.
    pub(crate) fn of(row: &VisibilityRow, namespace: &Arc<str>) -> Self {
        Self {
            namespace: Arc::clone(namespace),
            workflow_id: Arc::clone(&row.workflow_id),
            run_id: Arc::clone(&row.run_id),
            create_request_id: Arc::clone(&row.create_request_id),
        }
    }
}

/// A history from which no run can be made: the store is damaged, or of another program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("history of run {run_id}: {problem}")]
pub(crate) struct Unrecoverable {
    pub(super) run_id: Arc<str>,
    pub(super) problem: String,
}

/// A run that is rebuilt from its events.
#[derive(Debug)]
pub(crate) struct Fold {
    ids: RunIds,
    run: Option<Run>,
}

impl Fold {
    pub(crate) fn new(ids: RunIds) -> Self {
        Self { ids, run: None }
    }

    /// Applies the next event.
    ///
    /// # Errors
    ///
    /// An event that contradicts those before it.
    pub(crate) fn apply(&mut self, event: &HistoryEvent) -> Result<(), Unrecoverable> {
        let applied = match &mut self.run {
            None => Run::begin(&self.ids, event).map(|run| self.run = Some(run)),
            Some(run) => run
                .apply(event.event_id, event)
                .map_err(|problem| format!("event {}, {:?}: {problem}", event.event_id, event.event_type())),
        };
        applied.map_err(|problem| self.unrecoverable(problem))
    }

    /// The run after all of its events. Its history is empty: whoever has read the events has that.
    ///
    /// # Errors
    ///
    /// There was no event.
    pub(crate) fn into_run(mut self) -> Result<Run, Unrecoverable> {
        let run = self.run.take();
        run.ok_or_else(|| self.unrecoverable("it does not begin with WorkflowExecutionStarted".to_owned()))
    }

    fn unrecoverable(&self, problem: String) -> Unrecoverable {
        Unrecoverable { run_id: Arc::clone(&self.ids.run_id), problem }
    }
}
