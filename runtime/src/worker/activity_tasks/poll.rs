//! Arrival of activity tasks: from a poll, or with the response to a workflow task.

use std::sync::Arc;

use everloop_proto::temporal::api::taskqueue::v1::TaskQueueMetadata;
use everloop_proto::temporal::api::workflowservice::v1 as wire;
use tokio::sync::OwnedSemaphorePermit;

use super::runner::ActivityRunner;
use crate::client::{LONG_POLL, RpcError};
use crate::raw;
use crate::worker::polling::poll;

impl ActivityRunner {
    /// Waits until there are activities, then polls activity tasks until the worker stops.
    pub(crate) async fn poll_activity_tasks(self: Arc<Self>) -> Result<(), RpcError> {
        let request = wire::PollActivityTaskQueueRequest {
            namespace: self.link.namespace.clone(),
            task_queue: Some(raw::TaskQueue { name: self.task_queue.clone(), ..Default::default() }),
            identity: self.link.identity.clone(),
            worker_instance_key: self.instance_key.clone(),
            task_queue_metadata: self
                .max_per_second
                .map(|limit| TaskQueueMetadata { max_tasks_per_second: Some(limit) }),
            ..Default::default()
        };
        tokio::select! {
            () = self.stop_polling.begin.cancelled() => return Ok(()),
            () = self.registry.wait_for_activities() => {}
        }
        loop {
            let slot = tokio::select! {
                biased;
                () = self.stop_polling.begin.cancelled() => return Ok(()),
                slot = self.slots.clone().acquire_owned() => slot.ok(),
            };
            let attempt = || self.link.connection.once(request.clone(), LONG_POLL);
            let Some(task) = poll(&self.server, &self.stop_polling, attempt).await? else { return Ok(()) };
            if !task.task_token.is_empty() {
                self.start(task, slot);
            }
        }
    }

    /// Starts one activity, which keeps its slot until it ends.
    pub(crate) fn start(
        self: &Arc<Self>,
        task: wire::PollActivityTaskQueueResponse,
        slot: Option<OwnedSemaphorePermit>,
    ) {
        let this = self.clone();
        // Boxed, because the runtime moves a spawned future several times.
        self.running.spawn(Box::pin(async move {
            this.run(task).await;
            drop(slot);
        }));
    }
}
