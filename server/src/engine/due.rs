//! Arming, disarming and handling deadlines of a run.

use std::sync::Arc;

use crate::engine::deadline::Deadline;
use crate::engine::effects::Close;
use crate::engine::run::Run;
use crate::engine::time::Time;

impl Run {
    /// Handles all due deadlines, each in its own step.
    ///
    /// `fresh_id` creates the id of the run that follows, if this one is retried after its timeout.
    pub(crate) fn handle_timeout(&mut self, now: Time, fresh_id: &mut dyn FnMut() -> Arc<str>) {
        while self.is_open()
            && let Some(deadline) = self.take_due(now)
        {
            match deadline {
                Deadline::RunTimeout => self.time_out_run(fresh_id(), now),
                deadline => self.due(deadline, now),
            }
            self.close_step(now, Close::Write);
        }
    }

    pub(super) fn arm(&mut self, at: Time, deadline: Deadline) {
        self.state.deadlines.insert((at, deadline));
    }

    pub(super) fn disarm(&mut self, at: Time, deadline: Deadline) {
        self.state.deadlines.remove(&(at, deadline));
    }

    /// The time of the next deadline.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.state.deadlines.first().map(|(at, _)| *at)
    }

    /// Removes and returns the first deadline that is due.
    pub(super) fn take_due(&mut self, now: Time) -> Option<Deadline> {
        if self.next_deadline()? > now {
            return None;
        }
        self.state.deadlines.pop_first().map(|(_, deadline)| deadline)
    }

    /// Returns the first deadline if it is due.
    pub(super) fn first_due(&self, now: Time) -> Option<&Deadline> {
        self.state.deadlines.first().filter(|(at, _)| *at <= now).map(|(_, deadline)| deadline)
    }

    /// The deadlines that follow from written state. The deadline of a workflow task may differ after recovery, which
    /// forgets the sticky queue.
    pub(super) fn deadlines_but_of_workflow_tasks(&self) -> Vec<&(Time, Deadline)> {
        let of_task = |deadline: &Deadline| {
            matches!(deadline, Deadline::WorkflowTaskScheduleToStart | Deadline::WorkflowTaskStartToClose)
        };
        self.state.deadlines.iter().filter(|(_, deadline)| !of_task(deadline)).collect()
    }
}
