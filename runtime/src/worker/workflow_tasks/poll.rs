//! Arrival of workflow tasks: from a poll, or with the response to an eager start.

use std::sync::Arc;

use everloop_proto::temporal::api::enums::v1::TaskQueueKind;
use everloop_proto::temporal::api::workflowservice::v1 as wire;

use crate::client::{LONG_POLL, RpcError, TakeTask, TakesTasks};
use crate::raw;
use crate::worker::polling::poll;
use crate::worker::shell::Shell;

/// Polls workflow tasks until the worker stops.
pub(crate) async fn poll_workflow_tasks(shell: Arc<Shell>, sticky: bool) -> Result<(), RpcError> {
    let task_queue = match &shell.sticky_queue {
        Some(name) if sticky => raw::TaskQueue {
            name: name.clone(),
            kind: TaskQueueKind::Sticky as i32,
            normal_name: shell.task_queue.clone(),
        },
        _ => {
            raw::TaskQueue { name: shell.task_queue.clone(), kind: TaskQueueKind::Normal as i32, ..Default::default() }
        }
    };
    let request = wire::PollWorkflowTaskQueueRequest {
        namespace: shell.link.namespace.clone(),
        task_queue: Some(task_queue),
        identity: shell.link.identity.clone(),
        worker_instance_key: shell.instance_key.clone(),
        ..Default::default()
    };
    loop {
        let place = tokio::select! {
            biased;
            () = shell.stop_polling.begin.cancelled() => return Ok(()),
            place = shell.places.poll(sticky) => place,
        };
        let attempt = || shell.link.connection.once(request.clone(), LONG_POLL);
        let Some(task) = poll(&shell.server, &shell.stop_polling, attempt).await? else { return Ok(()) };
        if task.task_token.is_empty() {
            continue;
        }
        let handler = shell.clone();
        // Boxed, because the runtime moves a spawned future several times.
        shell.tasks.spawn(Box::pin(async move { handler.workflow_task(task, place.take().await).await }));
    }
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
