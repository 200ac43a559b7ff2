//! What all parts of a running worker share.

use std::sync::Arc;

use everloop_proto::temporal::api::history::v1::HistoryEvent;
use tokio_util::task::TaskTracker;

use super::activities::Activities;
use super::interceptor::WorkerInterceptor;
use super::link::Link;
use super::places::Places;
use super::polling::{ServerState, StopPolling};
use super::threads::WorkflowThreads;
use crate::activity::ActivityInfo;
use crate::client::{TakeTask, TakesTasks};
use crate::data::{Failure, WorkerActivityOptions};
use crate::executor::Definition;
use crate::registry::Registry;

pub(super) struct Shell {
    pub(super) link: Link,
    pub(super) task_queue: String,
    /// Our own queue, for tasks of the runs that we have in the cache. `None` without a cache.
    pub(super) sticky_queue: Option<String>,
    /// Names this worker to the server.
    pub(super) instance_key: String,
    pub(super) registry: Arc<Registry>,
    pub(super) activity_options: Arc<WorkerActivityOptions>,
    /// Whether the server keeps SDK metadata.
    pub(super) keeps_metadata: bool,
    pub(super) threads: WorkflowThreads,
    pub(super) places: Places,
    pub(super) activities: Arc<Activities>,
    pub(super) server: Arc<ServerState>,
    pub(super) stop_polling: StopPolling,
    /// Workflow tasks under way.
    pub(super) tasks: TaskTracker,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) interceptors: Arc<[Arc<dyn WorkerInterceptor>]>,
}

impl TakesTasks for Shell {
    fn reserve(self: Arc<Self>) -> Option<TakeTask> {
        if self.stop_polling.begin.is_cancelled() {
            return None;
        }
        let slot = self.places.try_take()?;
        let runtime = tokio::runtime::Handle::current();
        Some(Box::new(move |task| {
            let tasks = self.tasks.clone();
            tasks.spawn_on(Box::pin(self.workflow_task(task, slot)), &runtime);
        }))
    }
}

/// Who watches a worker: a test environment.
pub(crate) trait Observer: Send + Sync {
    /// A task is about to be done. `events` is what the server sent, or the whole history.
    fn task_begins(&self, workflow_id: &str, run_id: &str, definition: &Arc<dyn Definition>, events: &[HistoryEvent]);
    /// A task failed; it will be tried again.
    fn task_failed(&self, workflow_id: &str, run_id: &str, failure: &Failure);
    /// An attempt of an activity failed, which is tried again without a limit.
    fn attempt_failed(&self, info: &ActivityInfo, failure: &Failure);
    /// The server has the end of a run.
    fn run_closed(&self, workflow_id: &str, run_id: &str);
}
