//! Tasks on their way to a worker.
//!
//! A task counts as started before its worker has it: the poll still waits for a commit, and the response travels. A
//! task whose response does not arrive must not wait for its timeout, so each call notes the tasks that it hands out,
//! and returns them to their queues unless its response was taken.

use std::sync::{Arc, Mutex, Weak};

use crate::engine::effects::Close;
use crate::engine::event::EventId;
use crate::engine::workflow_task::state::TaskRef;
use crate::matching::{Matching, QueueKey};
use crate::service::calls::direct::DirectQuery;
use crate::service::runs::open::OpenRun;
use crate::service::runs::slot::{Slot, lock};
use crate::service::runs::task::Task;

/// The tasks that one call hands to a worker. When the last clone is dropped before [`Handover::taken`], they return to
/// their queues.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handover {
    tasks: Arc<HandedTasks>,
    /// Whether the transport says when the response was taken. Otherwise it is taken when the call returns it.
    travels: bool,
}

#[derive(Debug, Default)]
struct HandedTasks(Mutex<Vec<Handed>>);

/// A task that counts as started, or a query that has left its queue.
#[derive(Debug)]
pub(in crate::service) enum Handed {
    Workflow { slot: Arc<Slot>, run_id: Arc<str>, task: TaskRef },
    Activity { slot: Arc<Slot>, run_id: Arc<str>, scheduled_event_id: EventId, attempt: i32, request_id: Arc<str> },
    Query { matching: Weak<Matching<Task>>, queue: QueueKey, query: Arc<DirectQuery> },
}

impl Handover {
    /// Of a call whose response travels: the transport says when it was taken.
    #[cfg(feature = "listen")]
    pub(crate) fn travelling() -> Self {
        Self { travels: true, ..Self::default() }
    }

    /// The handover that came with a request, or a new one.
    pub(in crate::service) fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Notes a task that was started for this call.
    pub(in crate::service) fn add(&self, task: impl IntoIterator<Item = Handed>) {
        lock(&self.tasks.0).extend(task);
    }

    #[cfg(feature = "listen")]
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.tasks.0).is_empty()
    }

    /// The worker has the response.
    pub(crate) fn taken(&self) {
        lock(&self.tasks.0).clear();
    }

    /// The call has a response: unless that travels, the worker has it now.
    pub(in crate::service) fn returned(&self) {
        if !self.travels {
            self.taken();
        }
    }

    /// The call fails: its tasks return to their queues at once.
    pub(in crate::service) fn failed(&self) {
        self.tasks.return_all();
    }
}

impl HandedTasks {
    fn return_all(&self) {
        let tasks = std::mem::take(&mut *lock(&self.0));
        tasks.into_iter().for_each(Handed::return_to_queue);
    }
}

impl Drop for HandedTasks {
    fn drop(&mut self) {
        self.return_all();
    }
}

impl Handed {
    /// The workflow task of a run that a worker was given a moment ago.
    pub(in crate::service) fn workflow_task(slot: &Arc<Slot>, open: &OpenRun) -> Option<Self> {
        let task = open.run.started_workflow_task()?;
        Some(Self::Workflow { slot: Arc::clone(slot), run_id: Arc::clone(&open.run.info.run_id), task })
    }

    /// The attempt of an activity that a worker was given a moment ago.
    pub(in crate::service) fn activity(slot: &Arc<Slot>, open: &OpenRun, scheduled_event_id: EventId) -> Option<Self> {
        let activity = open.run.state.activities.get(&scheduled_event_id)?;
        Some(Self::Activity {
            slot: Arc::clone(slot),
            run_id: Arc::clone(&open.run.info.run_id),
            scheduled_event_id,
            attempt: activity.attempt,
            request_id: Arc::clone(&activity.started.as_ref()?.request_id),
        })
    }

    /// Offers the task again. One that has ended meanwhile, or belongs to an engine that has stopped, is left alone.
    fn return_to_queue(self) {
        match self {
            Self::Workflow { slot, run_id, task } => {
                let give_back = |open: &mut OpenRun, now| {
                    open.run.return_workflow_task(task, now)?;
                    Ok(((), Close::Write))
                };
                let returned = slot.change(&run_id, give_back, |_, ()| ());
                drop(returned);
            }
            Self::Activity { slot, run_id, scheduled_event_id, attempt, request_id } => {
                let give_back = |open: &mut OpenRun, now| {
                    open.run.return_activity(scheduled_event_id, attempt, &request_id, now)?;
                    Ok(((), Close::Write))
                };
                let returned = slot.change(&run_id, give_back, |_, ()| ());
                drop(returned);
            }
            Self::Query { matching, queue, query } => {
                if let Some(matching) = matching.upgrade().filter(|_| query.is_wanted()) {
                    matching.give_back(&queue, Task::Query(query));
                }
            }
        }
    }
}
