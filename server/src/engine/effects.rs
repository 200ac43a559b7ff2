//! What a transition leaves for the outside to do.

use std::sync::Arc;

use crate::api::query::WorkflowQueryResult;
use crate::engine::error::Refusal;
use crate::engine::event::EventId;
use crate::engine::update::state::UpdateNotice;
use crate::model::HistoryBatch;

/// A task for a worker, to be put on a task queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    WorkflowTask {
        stamp: EventId,
        /// The worker's own queue first, when the run sticks to one.
        sticky: Option<Arc<str>>,
        queue: Arc<str>,
    },
    ActivityTask {
        scheduled_event_id: EventId,
        attempt: i32,
        queue: Arc<str>,
    },
}

/// Something a waiting caller wants to hear.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    Update {
        id: Arc<str>,
        notice: UpdateNotice,
    },
    /// A query that rode on a workflow task got its answer.
    QueryAnswered {
        id: u64,
        result: Box<WorkflowQueryResult>,
    },
    /// No workflow task is left for the query to ride on; it can be asked by itself.
    QueryReleased {
        id: u64,
    },
}

/// What the outside has to do after a transition.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// New history, in order.
    pub(crate) batches: Vec<HistoryBatch>,
    pub(crate) offers: Vec<Offer>,
    pub(crate) notices: Vec<Notice>,
    /// Whether lists show something else than before.
    pub(crate) visible: bool,
    /// Whether the run's overlay may be another than before.
    pub(crate) overlay_changed: bool,
    /// The transition was refused after all, and the run terminated instead: its history would be too long.
    pub(crate) refusal: Option<Refusal>,
}

/// How a transition ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// As usual.
    Write,
    /// A speculative workflow task may stay speculative.
    KeepSpeculative,
}

impl Effects {
    /// Adds what a following step wants done.
    pub(super) fn append(&mut self, mut later: Self) {
        self.batches.append(&mut later.batches);
        self.offers.append(&mut later.offers);
        self.notices.append(&mut later.notices);
        self.visible |= later.visible;
        self.overlay_changed |= later.overlay_changed;
        self.refusal = self.refusal.take().or(later.refusal);
    }
}
