//! Recovers a run from the store.
//!
//! State is rebuilt from the history, event by event, and completed from the [`Overlay`]. The rest may be lost: callers
//! repeat queries and unaccepted updates, the next task replaces the sticky queue, and speculative workflow tasks have
//! written nothing.

use std::sync::Arc;

use crate::engine::child::state::Started;
use crate::engine::event::BUFFERED;
use crate::engine::fold::{Fold, RunIds, Unrecoverable};
use crate::engine::history::{History, decode_all};
use crate::engine::intent::Intent;
use crate::engine::overlay::Overlay;
use crate::engine::run::Run;
use crate::engine::time::Time;
use crate::model::HistoryBatch;

/// The stored data of an open run.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) ids: RunIds,
    pub(crate) batches: Vec<HistoryBatch>,
    pub(crate) overlay: Overlay,
}

impl Run {
    /// Rebuilds an open run as it was at its last commit. [`Run::resume`] activates it.
    pub(crate) fn recover(stored: Stored) -> Result<Self, Unrecoverable> {
        let Stored { ids, batches, overlay } = stored;
        let run_id = Arc::clone(&ids.run_id);
        let unrecoverable = |problem: String| Unrecoverable { run_id, problem };
        let events = match decode_all(&batches) {
            Ok(events) => events,
            Err(error) => return Err(unrecoverable(error.to_string())),
        };
        let mut fold = Fold::new(ids);
        for event in &events {
            fold.apply(event)?;
        }
        let mut run = fold.into_run()?;
        if !run.is_open() {
            return Err(unrecoverable("it has ended".to_owned()));
        }
        run.history = History::recovered(batches);
        run.restore(overlay).map_err(unrecoverable)?;
        run.state.visible = false;
        run.state.overlay_changed = false;
        Ok(run)
    }

    /// Activates a recovered run: pending tasks are offered to workers again.
    ///
    /// `workers_are_gone` means that all workers lived in the process that has ended: the workflow task and the
    /// activity attempts they had time out at once.
    pub(crate) fn resume(&mut self, workers_are_gone: bool, now: Time) {
        self.queries.number_from(now);
        match &self.state.workflow_task {
            Some(task) if task.started.is_none() => self.offer_workflow_task(),
            Some(_) if workers_are_gone => self.workflow_task_start_to_close(now),
            Some(_) => {}
            // The second and later attempts have no written events.
            None if self.state.workflow_task_attempt > 1 || !self.state.buffered.is_empty() => {
                self.ensure_workflow_task(now);
            }
            None => {}
        }
        if workers_are_gone {
            let started = self.state.activities.values().filter(|it| it.started.is_some());
            for id in started.map(|it| it.scheduled_event_id).collect::<Vec<_>>() {
                self.lose_attempt(id, now);
            }
        }
        self.send_again();
        let waiting =
            self.state.activities.values().filter(|it| it.started.is_none() && !it.backing_off && it.paused.is_none());
        for id in waiting.map(|it| it.scheduled_event_id).collect::<Vec<_>>() {
            self.offer_activity(id);
        }
    }

    /// Sends the messages of a recovered run again that may not have been delivered.
    fn send_again(&mut self) {
        let starts = self.state.children.iter().filter(|(_, child)| matches!(child.started, Started::NotYet(_)));
        let starts = starts.map(|(id, _)| Intent::StartChild(*id));
        let signals = self.state.signals_sent.keys().map(|id| Intent::SignalExternal(*id));
        let cancels = self.state.cancels_sent.keys().map(|id| Intent::CancelExternal(*id));
        let introduction = self.state.awaits_parent.then_some(Intent::Introduce);
        self.state.intents = starts.chain(signals).chain(cancels).chain(introduction).collect();
    }

    fn restore(&mut self, mut overlay: Overlay) -> Result<(), String> {
        self.restore_subjects(&mut overlay)?;
        for event in overlay.buffered {
            self.apply(BUFFERED, &event)?;
            self.state.buffered.push(event);
        }
        Ok(())
    }
}
