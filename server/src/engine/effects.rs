//! Effects of a transition that the service carries out.

use std::sync::Arc;
use std::time::Duration;

use crate::api::common::Link;
use crate::api::history::WorkflowExecutionStartedEventAttributes;
use crate::api::query::WorkflowQueryResult;
use crate::engine::error::Refusal;
use crate::engine::event::EventId;
use crate::engine::intent::Intent;
use crate::engine::time::Time;
use crate::engine::update::state::UpdateNotice;
use crate::model::{HistoryBatch, NamespaceNames};

/// A task for a worker, to be added to a task queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    WorkflowTask {
        stamp: EventId,
        /// The sticky queue, which is tried first, if the run has one.
        sticky: Option<Arc<str>>,
        queue: Arc<str>,
    },
    ActivityTask {
        scheduled_event_id: EventId,
        attempt: i32,
        queue: Arc<str>,
    },
}

/// A notice for a waiting caller.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    Update {
        id: Arc<str>,
        notice: UpdateNotice,
    },
    /// The worker answered a query that was attached to a workflow task.
    QueryAnswered {
        id: u64,
        result: Box<WorkflowQueryResult>,
    },
    /// The query's workflow task is gone; the service should send the query as a direct query task.
    QueryReleased {
        id: u64,
    },
}

/// A run that follows a closed run, before it begins.
#[derive(Clone, Debug)]
pub(crate) struct Successor {
    pub(super) namespace: NamespaceNames,
    pub(super) workflow_id: Arc<str>,
    pub(super) run_id: Arc<str>,
    pub(super) started: Box<WorkflowExecutionStartedEventAttributes>,
    pub(super) links: Vec<Link>,
    pub(super) time: Time,
    /// How long the closed run was executed.
    pub(super) lifetime: Duration,
}

/// Effects that the service carries out after a transition.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// New history batches, in order.
    pub(crate) batches: Vec<HistoryBatch>,
    pub(crate) offers: Vec<Offer>,
    pub(crate) notices: Vec<Notice>,
    /// The run to begin in the same commit, which closes this one.
    pub(crate) successor: Option<Box<Successor>>,
    /// Messages to other runs, in order.
    pub(crate) intents: Vec<Intent>,
    /// Whether the visibility row changed.
    pub(crate) visible: bool,
    /// Whether the run's overlay may have changed.
    pub(crate) overlay_changed: bool,
    /// Set when the history would have become too long: the transition was undone and the run terminated instead.
    pub(crate) refusal: Option<Refusal>,
}

/// How a transition ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Close {
    /// Writes every pending event.
    Write,
    /// Allows a speculative workflow task to stay speculative.
    KeepSpeculative,
}

impl Effects {
    /// Adds the effects of a later step.
    pub(super) fn append(&mut self, mut later: Self) {
        self.batches.append(&mut later.batches);
        self.offers.append(&mut later.offers);
        self.notices.append(&mut later.notices);
        self.successor = later.successor.or(self.successor.take());
        self.intents.append(&mut later.intents);
        self.visible |= later.visible;
        self.overlay_changed |= later.overlay_changed;
    }
}
