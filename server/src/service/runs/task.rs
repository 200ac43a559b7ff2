//! Tasks in the queues.

use std::sync::Arc;

use crate::engine::effects::Close;
use crate::matching::{QueueKey, QueuedTask};
use crate::service::calls::direct::DirectQuery;
use crate::service::runs::open::OpenRun;
use crate::service::runs::slot::Slot;

/// A task in a queue.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    Workflow { slot: Arc<Slot>, run_id: Arc<str>, stamp: i64 },
    Activity { slot: Arc<Slot>, run_id: Arc<str>, scheduled_event_id: i64, attempt: i32 },
    Query(Arc<DirectQuery>),
}

impl QueuedTask for Task {
    fn leave_sticky_queue(self, queue: &QueueKey) {
        match self {
            Self::Workflow { slot, run_id, .. } => {
                let clear = |open: &mut OpenRun, _| {
                    if open.run.has_sticky_queue(&queue.name) {
                        open.run.clear_sticky();
                    }
                    Ok(((), Close::KeepSpeculative))
                };
                let unstuck = slot.change(&run_id, clear, |_, ()| ());
                // A run that has closed has no sticky queue.
                drop(unstuck);
            }
            // The caller offers the query on the normal queue.
            Self::Query(query) => query.release(),
            Self::Activity { .. } => {}
        }
    }

    fn is_stale(&self) -> bool {
        match self {
            Self::Query(query) => !query.is_wanted(),
            Self::Workflow { slot, run_id, stamp } => slot.no_longer_has(run_id, |run| {
                run.state.workflow_task.as_ref().is_some_and(|task| task.stamp == *stamp && task.started.is_none())
            }),
            Self::Activity { slot, run_id, scheduled_event_id, attempt } => slot.no_longer_has(run_id, |run| {
                let activity = run.state.activities.get(scheduled_event_id);
                activity.is_some_and(|it| it.attempt == *attempt && it.started.is_none() && !it.backing_off)
            }),
        }
    }
}
