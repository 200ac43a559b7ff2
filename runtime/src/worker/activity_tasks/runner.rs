//! Runs the activities of a worker.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::registry::Registry;
use crate::worker::interceptor::SharedInterceptor;
use crate::worker::link::ServerLink;
use crate::worker::observer::Observer;
use crate::worker::polling::{ServerState, StopPolling};

/// Runs the activities of a worker.
pub(crate) struct ActivityRunner {
    pub(crate) link: ServerLink,
    pub(crate) registry: Arc<Registry>,
    pub(crate) task_queue: String,
    /// Identifies this worker to the server.
    pub(crate) instance_key: String,
    /// A permit for each activity that may run concurrently.
    pub(crate) slots: Arc<Semaphore>,
    /// One for each local activity that may run at once.
    pub(crate) local_slots: Arc<Semaphore>,
    /// Whether each wait of a local activity between two attempts is a timer of its workflow, over which a test can jump.
    pub(crate) backoffs_are_timers: bool,
    /// A permit for each activity that may block a thread.
    pub(crate) blocking_slots: Arc<Semaphore>,
    pub(crate) eager: bool,
    pub(crate) server: Arc<ServerState>,
    pub(crate) stop_polling: StopPolling,
    /// Cancelled when the worker begins to stop.
    pub(crate) shutdown: CancellationToken,
    /// Cancelled when the graceful shutdown timeout is over.
    pub(crate) cancel_all: CancellationToken,
    pub(crate) running: TaskTracker,
    pub(crate) max_per_second: Option<f64>,
    pub(crate) interceptors: Arc<[SharedInterceptor]>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

impl ActivityRunner {
    /// Whether the worker polls for activities now.
    pub(crate) fn polls(&self) -> bool {
        self.registry.has_activities()
    }

    pub(crate) fn knows(&self, activity_type: &str) -> bool {
        self.registry.activity(activity_type).is_some()
    }
}
