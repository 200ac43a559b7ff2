//! Rebuilds a run, open or closed, from its events.
//!
//! Every event changes the state through [`Run::apply`]: a written event is applied at once, even if it is buffered,
//! and recovery applies the stored events one after the other.

use std::sync::Arc;

use crate::engine::event::HistoryEvent;
use crate::engine::run::Run;
use crate::model::{NamespaceNames, VisibilityRow};

/// The ids of a run. The first event holds only some of them.
#[derive(Clone, Debug)]
pub(crate) struct RunIds {
    pub(crate) namespace: NamespaceNames,
    pub(crate) workflow_id: Arc<str>,
    pub(crate) run_id: Arc<str>,
    pub(crate) create_request_id: Arc<str>,
}

impl RunIds {
    /// The ids of the run with this row, in this namespace.
    pub(crate) fn of(row: &VisibilityRow, namespace: NamespaceNames) -> Self {
        Self {
            namespace,
            workflow_id: Arc::clone(&row.workflow_id),
            run_id: Arc::clone(&row.run_id),
            create_request_id: Arc::clone(&row.create_request_id),
        }
    }
}

/// A history that no run can be rebuilt from: the store is damaged, or another program wrote it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("history of run {run_id}: {problem}")]
pub(crate) struct Unrecoverable {
    pub(super) run_id: Arc<str>,
    pub(super) problem: String,
}

/// A run while it is rebuilt from its events.
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
    /// Fails if the event contradicts those before it.
    pub(crate) fn apply(&mut self, event: &HistoryEvent) -> Result<(), Unrecoverable> {
        let applied = match &mut self.run {
            None => Run::begin(&self.ids, event).map(|run| self.run = Some(run)),
            Some(run) => run
                .apply(event.event_id, event)
                .map_err(|problem| format!("event {}, {:?}: {problem}", event.event_id, event.event_type())),
        };
        applied.map_err(|problem| self.unrecoverable(problem))
    }

    /// Returns the run after all of its events. Its history is empty: the caller has read the events already.
    ///
    /// # Errors
    ///
    /// Fails if no event was applied.
    pub(crate) fn into_run(mut self) -> Result<Run, Unrecoverable> {
        let run = self.run.take();
        run.ok_or_else(|| self.unrecoverable("it does not begin with WorkflowExecutionStarted".to_owned()))
    }

    fn unrecoverable(&self, problem: String) -> Unrecoverable {
        Unrecoverable { run_id: Arc::clone(&self.ids.run_id), problem }
    }
}
