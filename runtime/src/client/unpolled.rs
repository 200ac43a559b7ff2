//! Warnings about task queues without a poller, the most common reason why a workflow does not continue.

use std::time::Duration;

use everloop_proto::temporal::api::enums::v1::TaskQueueType;
use everloop_proto::temporal::api::workflowservice::v1::{DescribeTaskQueueRequest, DescribeWorkflowExecutionRequest};

use super::client::Client;
use crate::notice::say_unless_heard;
use crate::raw;

/// The time that a workflow waits before the client checks whether there is a worker.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

impl Client {
    /// Checks a queue a little later, and warns if it has no worker then.
    pub(super) fn watch_queue(&self, task_queue: &str, kind: TaskQueueType) {
        if !self.inner.unpolled.looked_at.is_due(task_queue, kind) {
            return;
        }
        // The task must not keep the client alive, and with it an engine in this process.
        let (inner, task_queue) = (std::sync::Arc::downgrade(&self.inner), task_queue.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            let Some(inner) = inner.upgrade() else { return };
            warn_if_unpolled(&Client { inner }, &task_queue, kind, None).await;
        });
    }

    /// Warns a little later if no worker polls a queue for activities. For workers, whose workflows wait for the activities.
    #[cfg(feature = "worker")]
    pub(crate) fn watch_activity_queue(&self, task_queue: &str) {
        self.watch_queue(task_queue, TaskQueueType::Activity);
    }
}

/// Warns if no worker polls the queue of a workflow whose result is awaited.
pub(super) async fn warn_about(client: &Client, workflow_id: &str, task_queue: Option<&str>) {
    let task_queue = match task_queue {
        Some(task_queue) => task_queue.to_owned(),
        None => {
            let request = DescribeWorkflowExecutionRequest {
                namespace: client.namespace().to_owned(),
                execution: Some(raw::WorkflowExecution { workflow_id: workflow_id.to_owned(), ..Default::default() }),
            };
            let described = match client.connection().call(request).await {
                Ok(described) => described,
                Err(error) => {
                    return tracing::debug!(workflow_id, %error, "whether the workflow has a worker is not known");
                }
            };
            described.workflow_execution_info.map(|info| info.task_queue).unwrap_or_default()
        }
    };
    warn_if_unpolled(client, &task_queue, TaskQueueType::Workflow, Some(workflow_id)).await;
}

async fn warn_if_unpolled(client: &Client, task_queue: &str, kind: TaskQueueType, workflow_id: Option<&str>) {
    let request = DescribeTaskQueueRequest {
        namespace: client.namespace().to_owned(),
        task_queue: Some(raw::TaskQueue { name: task_queue.to_owned(), ..Default::default() }),
        task_queue_type: kind as i32,
        ..Default::default()
    };
    // The warning is optional: a client without permission for this call logs none.
    let described = match client.connection().call(request).await {
        Ok(described) => described,
        Err(error) => return tracing::debug!(task_queue, %error, "whether the queue has a worker is not known"),
    };
    if described.pollers.is_empty() && client.inner.unpolled.warned.is_due(task_queue, kind) {
        let advice = match kind {
            TaskQueueType::Activity => format!(
                "no worker polls the task queue `{task_queue}` for activities, so those called there wait: add `.activity(f)` \
                 to a worker of that queue, or check the queue's name"
            ),
            _ => format!(
                "no worker polls the task queue `{task_queue}`, so its workflows wait: start one with \
                 `Worker::builder(&client, \"{task_queue}\")`, or check the queue's name"
            ),
        };
        tracing::warn!(task_queue, workflow_id, namespace = client.namespace(), "{advice}");
        say_unless_heard(|| advice);
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;
    use crate::data::Payloads;

    /// Collects the texts of warnings.
    #[derive(Clone, Default)]
    struct Warnings(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == tracing::Level::WARN
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            struct Message(String);
            impl Visit for Message {
                fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                    if field.name() == "message" {
                        self.0 = format!("{value:?}");
                    }
                }
            }
            let mut message = Message(String::new());
            event.record(&mut message);
            self.0.lock().unwrap().push(message.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn a_queue_without_worker_is_named_and_looked_at_once_a_minute() {
        let warnings = Warnings::default();
        let _listening = tracing::subscriber::set_default(warnings.clone());
        let client = Client::connect("memory:").await.unwrap();
        client.start_untyped("Waits", Payloads::new()).id("waits").task_queue("lonely").await.unwrap();
        let is_due = |queue, kind| client.inner.unpolled.looked_at.is_due(queue, kind);
        assert!(!is_due("lonely", TaskQueueType::Workflow) && is_due("other", TaskQueueType::Workflow));
        assert!(is_due("lonely", TaskQueueType::Activity));
        warn_if_unpolled(&client, "lonely", TaskQueueType::Activity, None).await;
        // A handle that has only the id gets the queue from the server.
        warn_about(&client, "waits", None).await;
        // `execute` starts a workflow and waits for it, and should warn once.
        warn_about(&client, "waits", Some("lonely")).await;
        let warnings = warnings.0.lock().unwrap().clone();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].starts_with("no worker polls the task queue `lonely` for activities,"), "{warnings:?}");
        assert!(warnings[1].starts_with("no worker polls the task queue `lonely`, so"), "{warnings:?}");
    }
}
