//! The state of the children of a run, and of a run that is a child.

use std::sync::Arc;

use crate::api::common::WorkflowExecution;
use crate::api::enums::ParentClosePolicy;
use crate::api::history::StartChildWorkflowExecutionInitiatedEventAttributes;
use crate::engine::event::EventId;
use crate::model::NamespaceNames;

/// A child that has not closed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Child {
    pub(crate) workflow_id: Arc<str>,
    pub(crate) workflow_type: Arc<str>,
    pub(crate) parent_close_policy: ParentClosePolicy,
    pub(crate) started: Started,
}

/// Whether a child has started.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Started {
    /// Its start is under way.
    NotYet(Box<StartChildWorkflowExecutionInitiatedEventAttributes>),
    /// The parent has recorded the start: its event and the child's first run.
    Yes { event_id: EventId, first_run_id: Arc<str> },
}

/// The parent of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parent {
    pub(crate) namespace: NamespaceNames,
    pub(crate) execution: WorkflowExecution,
    pub(crate) initiated_event_id: EventId,
}

/// Where a child comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Origin {
    pub(crate) parent: Parent,
    /// The first run without a parent above this one.
    pub(crate) root: WorkflowExecution,
}
