//! Names of task queues.

use std::sync::Arc;

use crate::model::NamespaceKey;

/// The kind of tasks in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum QueueKind {
    Workflow,
    /// Workflow tasks of the runs that one worker has in its cache.
    Sticky,
    Activity,
    /// Has no tasks, because there are no Nexus operations, but workers poll it.
    Nexus,
}

/// The key of one task queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QueueKey {
    pub(crate) namespace: NamespaceKey,
    pub(crate) kind: QueueKind,
    pub(crate) name: Arc<str>,
}
