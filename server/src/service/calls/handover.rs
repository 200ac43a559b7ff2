//! Handovers of tasks to workers.
//!
//! A task counts as started before the worker has received it: the poll still waits for a commit, and the response has
//! to arrive. A task whose response is lost must not wait for its timeout, so each call records the tasks in its
//! response, and returns them to their queues unless the response was delivered.

use std::sync::{Arc, Mutex, Weak};

use crate::engine::effects::Close;
use crate::engine::event::EventId;
use crate::engine::workflow_task::state::TaskRef;
use crate::matching::{Matching, QueueKey};
use crate::service::calls::direct::DirectQuery;
use crate::service::runs::open::OpenRun;
use crate::service::runs::slot::{Slot, lock};
use crate::service::runs::task::Task;

/// The tasks that one call hands over to a worker. If the last clone is dropped before [`Handover::taken`], the tasks
/// return to their queues.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handover {
    tasks: Arc<HandedTasks>,
    /// Whether the transport reports the delivery of the response. Otherwise the response counts as delivered when the
    /// call returns it.
    travels: bool,
}

#[derive(Debug, Default)]
struct HandedTasks(Mutex<Vec<Handed>>);

/// A task that counts as started, or a query that was removed from its queue.
#[derive(Debug)]
pub(in crate::service) enum Handed {
    Workflow { slot: Arc<Slot>, run_id: Arc<str>, task: TaskRef },
    Activity { slot: Arc<Slot>, run_id: Arc<str>, scheduled_event_id: EventId, attempt: i32, request_id: Arc<str> },
    Query { matching: Weak<Matching<Task>>, queue: QueueKey, query: Arc<DirectQuery> },
}

impl Handover {
    /// Creates the handover of a call whose transport reports the delivery.
    #[cfg(feature = "listen")]
    pub(crate) fn travelling() -> Self {
        Self { travels: true, ..Self::default() }
    }

    /// Returns the handover attached to the request, or a new one.
    pub(in crate::service) fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Records tasks that were started for this call.
    pub(in crate::service) fn add(&self, task: impl IntoIterator<Item = Handed>) {
        lock(&self.tasks.0).extend(task);
    }

    #[cfg(feature = "listen")]
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.tasks.0).is_empty()
    }

    /// Records that the worker has received the response.
    pub(crate) fn taken(&self) {
        lock(&self.tasks.0).clear();
    }

    /// Records that the call returned its response, which completes the handover unless the transport reports the
    /// delivery.
    pub(in crate::service) fn returned(&self) {
        if !self.travels {
            self.taken();
        }
    }

    /// Records that the call failed: its tasks return to their queues at once.
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
    /// The workflow task of a run that was just started for a worker.
    pub(in crate::service) fn workflow_task(slot: &Arc<Slot>, open: &OpenRun) -> Option<Self> {
        let task = open.run.started_workflow_task()?;
        Some(Self::Workflow { slot: Arc::clone(slot), run_id: Arc::clone(&open.run.info.run_id), task })
    }

    /// The activity attempt that was just started for a worker.
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

    /// Offers the task again, unless it has ended or the engine has stopped.
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
