//! The parts of a running worker.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::activity_tasks::ActivityRunner;
use super::link::ServerLink;
use super::observer::Observer;
use super::places::Places;
use super::polling::{ServerState, StopPolling};
use super::threads::WorkflowThreads;
use crate::data::WorkerActivityOptions;
use crate::registry::Registry;

/// The state of a running worker that its pollers and tasks share.
pub(super) struct Shell {
    pub(super) link: ServerLink,
    pub(super) task_queue: String,
    /// The worker's sticky queue, for tasks of the runs in its cache. `None` without a cache.
    pub(super) sticky_queue: Option<String>,
    /// Identifies this worker to the server.
    pub(super) instance_key: String,
    pub(super) registry: Arc<Registry>,
    pub(super) activity_options: Arc<WorkerActivityOptions>,
    /// Whether the server keeps SDK metadata.
    pub(super) keeps_metadata: bool,
    pub(super) threads: WorkflowThreads,
    pub(super) places: Places,
    pub(super) activities: Arc<ActivityRunner>,
    pub(super) server: Arc<ServerState>,
    pub(super) stop_polling: StopPolling,
    /// Workflow tasks in progress.
    pub(super) tasks: TaskTracker,
    pub(super) observer: Option<Arc<dyn Observer>>,
}
