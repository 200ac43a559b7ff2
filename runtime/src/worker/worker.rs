//! The lifetime of a worker, from its first poll to its end.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::Duration;

use everloop_proto::temporal::api::enums::v1::TaskQueueType;
use everloop_proto::temporal::api::workflowservice::v1 as wire;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::closed_runs::drop_closed_runs;
use super::error::WorkerError;
use super::options::WorkerOptions;
use super::run_until::RunUntilOutput;
use super::shell::Shell;
use super::workflow_tasks::poll_workflow_tasks;
use crate::client::{RpcError, TakesTasks};
use crate::executor::install_hook;

/// The time between two checks of the workflow threads.
const WATCHDOG_INTERVAL: Duration = Duration::from_millis(100);
/// The time in which the server ends open polls after the worker has reported its shutdown.
const LAST_POLLS: Duration = Duration::from_secs(5);
/// The time for open polls at shutdown, if the server does not end them or does not respond.
const LAST_POLLS_WITHOUT_SERVER: Duration = Duration::from_millis(200);
/// The time in which cancelled activities must end.
const LAST_ACTIVITIES: Duration = Duration::from_secs(5);

/// Runs workflows and activities of one task queue.
///
/// ```no_run
/// # use everloop::prelude::*;
/// # async fn example<OneClickBuy: everloop::workflow::Workflow>() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect("memory:").await?;
/// let worker = Worker::builder(&client, "purchases").workflow::<OneClickBuy>().build()?;
/// worker.run().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a worker does nothing until it runs"]
pub struct Worker {
    pub(super) shell: Arc<Shell>,
    pub(super) options: WorkerOptions,
    pub(super) shutdown: CancellationToken,
}

impl Worker {
    /// Returns a handle that stops the worker.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        ShutdownHandle(self.shutdown.clone())
    }

    /// Runs until a [`ShutdownHandle`] stops it.
    ///
    /// # Errors
    /// Permanent failures: a missing namespace, bad credentials, or too many workflows that block their threads. The worker
    /// keeps polling while the server is unreachable.
    pub async fn run(self) -> Result<(), WorkerError> {
        Box::pin(self.drive(std::future::pending::<()>())).await.map(drop)
    }

    /// Runs until a future completes, and returns its output: one `Result` for the future's errors and the worker's.
    ///
    /// The future returns a `Result` whose error implements `From<WorkerError>` (`Box<dyn Error>`, `anyhow::Error`, the errors of
    /// `execute`, `result`, updates and queries, or an enum with `#[from] WorkerError`), or `()` if it cannot fail, as in a test
    /// that unwraps. The argument can also be a call, such as `client.execute(..)`.
    ///
    /// ```no_run
    /// # use everloop::prelude::*;
    /// # async fn example<Hello: everloop::workflow::Workflow<Args = (String,), Output = String>>(
    /// #     worker: Worker, client: Client, hello: everloop::WorkflowCall<Hello>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let story = async {
    ///     let greeting = client.execute(hello).task_queue("hello").await?;
    ///     println!("{greeting}");
    ///     Ok(())
    /// };
    /// worker.run_until(story).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// The future's own error; those of [`run`](Self::run); [`WorkerError::ShutDown`] if a [`ShutdownHandle`] stopped the worker
    /// before the future completed.
    pub async fn run_until<F, T, E>(self, future: F) -> Result<T, E>
    where
        F: IntoFuture<Output: RunUntilOutput<T, E>>,
        E: From<WorkerError>,
    {
        // Boxed to keep stacks small: the future may contain many calls.
        match Box::pin(self.drive(future.into_future())).await {
            Ok(Some(output)) => output.into_result(),
            Ok(None) => Err(WorkerError::ShutDown.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs until a future completes, and returns its output; `None` if a [`ShutdownHandle`] stopped the worker before.
    async fn drive<F: Future>(self, future: F) -> Result<Option<F::Output>, WorkerError> {
        install_hook();
        let ends_polls = self.check_namespace().await?;
        let shell = &self.shell;
        let mut pollers = JoinSet::new();
        if !shell.registry.workflows.is_empty() {
            for _ in 0..self.options.workflow_pollers {
                pollers.spawn(poll_workflow_tasks(shell.clone(), false));
                if shell.sticky_queue.is_some() {
                    pollers.spawn(poll_workflow_tasks(shell.clone(), true));
                }
            }
        }
        if !shell.registry.activities.is_empty() || shell.registry.mocks.is_some() {
            for _ in 0..self.options.activity_pollers {
                pollers.spawn(shell.activities.clone().poll_activity_tasks());
            }
        }
        if !shell.registry.workflows.is_empty() {
            let taker: Arc<dyn TakesTasks> = shell.clone();
            shell.link.client.eager_workers().add(&shell.task_queue, Arc::downgrade(&taker));
        }
        tracing::debug!(
            task_queue = shell.task_queue,
            namespace = shell.link.namespace,
            determinism = "macro lint, waker rule, no tokio context on workflow threads",
            "worker started"
        );
        let stopped = tokio::select! {
            output = future => Ok(Some(output)),
            () = self.shutdown.cancelled() => Ok(None),
            error = failed(&mut pollers) => Err(WorkerError::Refused(error)),
            blocked = watchdog(shell) => Err(WorkerError::TooManyDeadlocks(blocked)),
            never = drop_closed_runs(shell, self.options.idle_check) => match never {},
        };
        self.stop(pollers, ends_polls).await;
        stopped
    }

    /// Checks that the namespace exists. Returns whether the server ends open polls when the worker stops.
    async fn check_namespace(&self) -> Result<bool, WorkerError> {
        let namespace = self.shell.link.namespace.clone();
        let request = wire::DescribeNamespaceRequest { namespace, ..Default::default() };
        match self.shell.link.connection.call(request).await {
            Ok(reply) => {
                let capabilities = reply.namespace_info.and_then(|namespace| namespace.capabilities);
                Ok(capabilities.is_some_and(|capabilities| capabilities.worker_poll_complete_on_shutdown))
            }
            Err(error) => Err(WorkerError::Refused(error)),
        }
    }

    async fn stop(self, mut pollers: JoinSet<Result<(), RpcError>>, ends_polls: bool) {
        let Self { shell, options, .. } = self;
        let activities = &shell.activities;
        shell.stop_polling.begin.cancel();
        activities.shutdown.cancel();
        // The server releases the sticky queue, so that other workers receive its tasks at once, and ends open polls. The
        // worker does not drop them before, because a poll may return a task.
        let request = wire::ShutdownWorkerRequest {
            namespace: shell.link.namespace.clone(),
            sticky_task_queue: shell.sticky_queue.clone().unwrap_or_default(),
            identity: shell.link.identity.clone(),
            reason: "worker shutdown".to_owned(),
            worker_instance_key: shell.instance_key.clone(),
            task_queue: shell.task_queue.clone(),
            task_queue_types: vec![TaskQueueType::Workflow as i32, TaskQueueType::Activity as i32],
            ..Default::default()
        };
        let patience = match shell.link.connection.once(request, Duration::from_secs(1)).await {
            Ok(_) if ends_polls => LAST_POLLS,
            Ok(_) => LAST_POLLS_WITHOUT_SERVER,
            Err(error) => {
                tracing::debug!(%error, "the server does not know that the worker stops");
                LAST_POLLS_WITHOUT_SERVER
            }
        };
        let drop_late_polls = async {
            sleep(patience).await;
            shell.stop_polling.open.cancel();
            std::future::pending::<()>().await;
        };
        let all_back = async {
            while let Some(ended) = pollers.join_next().await {
                log_end_of_poller(ended);
            }
        };
        tokio::select! {
            () = all_back => {}
            () = drop_late_polls => {}
        }
        shell.tasks.close();
        activities.running.close();
        // Workflow tasks end first: the responses to their completions may contain activities.
        let all_ended = async || {
            shell.tasks.wait().await;
            activities.running.wait().await;
        };
        if timeout(options.graceful_shutdown_timeout, all_ended()).await.is_ok() {
            return;
        }
        activities.cancel_all.cancel();
        let longest = options.deadlock_timeout.unwrap_or_default().saturating_add(LAST_ACTIVITIES);
        if timeout(longest, all_ended()).await.is_err() {
            tracing::warn!(
                activities = activities.running.len(),
                workflow_tasks = shell.tasks.len(),
                "activities or workflow tasks did not end when the worker stopped; their timeouts will have them tried again"
            );
        }
    }
}

/// Waits for the first poller that fails.
async fn failed(pollers: &mut JoinSet<Result<(), RpcError>>) -> RpcError {
    while let Some(ended) = pollers.join_next().await {
        if let Ok(Err(error)) = ended {
            return error;
        }
        log_end_of_poller(ended);
    }
    std::future::pending().await
}

fn log_end_of_poller(ended: Result<Result<(), RpcError>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a poller ended"),
        Err(panic) => tracing::error!(%panic, "a poller stopped"),
    }
}

/// Abandons blocked threads. Returns the number of blocking runs when it is too large.
async fn watchdog(shell: &Shell) -> usize {
    loop {
        sleep(WATCHDOG_INTERVAL).await;
        if let Err(blocked) = shell.threads.give_up_stuck() {
            return blocked;
        }
    }
}

/// Stops a worker from other tasks or threads. See [`Worker::shutdown_handle`].
#[derive(Debug, Clone)]
pub struct ShutdownHandle(CancellationToken);

impl ShutdownHandle {
    /// Stops the worker: polling ends, workflow tasks are completed, and activities are cancelled after the
    /// [graceful shutdown timeout](super::WorkerBuilder::graceful_shutdown_timeout). Then [`Worker::run`] returns.
    pub fn shutdown(&self) {
        self.0.cancel();
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("task_queue", &self.shell.task_queue).finish_non_exhaustive()
    }
}
