//! Drops cached runs that have ended without a task: terminated, timed out, deleted, or ended by another worker.
//!
//! No task reports such an end to a worker, and its cache would keep the run until a thousand other runs need the space. The
//! worker cannot simply drop runs that have been idle for long, because the cache serves workflows that wait for long: each
//! would be replayed when it wakes. So the worker queries the server about a few runs at a time: a minute after a run's last
//! task, then whenever its idle time has doubled, and finally once an hour.

use std::convert::Infallible;
use std::time::Duration;

use everloop_proto::temporal::api::enums::v1::WorkflowExecutionStatus;
use everloop_proto::temporal::api::workflowservice::v1 as wire;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::jobs::{IdleRun, Job, Undo};
use super::shell::Shell;
use crate::client::{RpcCode, RpcError};
use crate::raw;

/// The number of a thread's runs in one check; there are four checks a minute.
const AT_A_TIME: usize = 20;
const CALL: Duration = Duration::from_secs(5);

/// Drops runs that have ended, until the worker stops.
pub(super) async fn drop_closed_runs(shell: &Shell, first_check: Duration) -> Infallible {
    loop {
        sleep(first_check / 4).await;
        for run in idle_runs(shell, first_check).await {
            match is_closed(shell, &run).await {
                Ok(true) => {
                    let IdleRun { run_id, idle_period, .. } = run;
                    // Ignored if a task has arrived meanwhile.
                    shell.threads.send(&run_id, Job::Undo { run_id: run_id.clone(), idle_period, undo: Undo::Evict });
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%error, "the server could not be asked about idle workflows; the worker asks again later");
                    break;
                }
            }
        }
    }
}

async fn idle_runs(shell: &Shell, first: Duration) -> Vec<IdleRun> {
    let mut runs = Vec::new();
    for thread in shell.threads.all() {
        let (reply, listed) = oneshot::channel();
        thread.send(Job::ListIdle { first, limit: AT_A_TIME, reply });
        tokio::select! {
            listed = listed => runs.extend(listed.into_iter().flatten()),
            // An abandoned thread has no runs.
            () = thread.lost.cancelled() => {}
        }
    }
    runs
}

async fn is_closed(shell: &Shell, run: &IdleRun) -> Result<bool, RpcError> {
    let request = wire::DescribeWorkflowExecutionRequest {
        namespace: shell.link.namespace.clone(),
        execution: Some(raw::WorkflowExecution {
            workflow_id: run.workflow_id.clone(),
            run_id: run.run_id.to_string(),
        }),
    };
    match shell.link.connection.once(request, CALL).await {
        Ok(described) => {
            let status = described.workflow_execution_info.unwrap_or_default().status();
            Ok(matches!(
                status,
                WorkflowExecutionStatus::Completed
                    | WorkflowExecutionStatus::Failed
                    | WorkflowExecutionStatus::Canceled
                    | WorkflowExecutionStatus::Terminated
                    | WorkflowExecutionStatus::ContinuedAsNew
                    | WorkflowExecutionStatus::TimedOut
            ))
        }
        Err(error) if error.code == RpcCode::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(all(test, feature = "embedded"))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::prelude::*;

    static LIVE: AtomicUsize = AtomicUsize::new(0);
    static MADE: AtomicUsize = AtomicUsize::new(0);

    /// Counts its instances.
    struct Counted;

    impl Default for Counted {
        fn default() -> Self {
            MADE.fetch_add(1, Ordering::SeqCst);
            LIVE.fetch_add(1, Ordering::SeqCst);
            Self
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            LIVE.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[workflow]
    #[derive(Default)]
    struct Waits {
        is_done: State<bool>,
        _counted: Counted,
    }

    #[workflow]
    impl Waits {
        #[run]
        async fn run(&self) -> WorkflowResult<u32> {
            self.is_done.wait(|is_done| *is_done).await?;
            Ok(5)
        }

        #[signal]
        fn finish(&self) {
            self.is_done.set(true);
        }
    }

    async fn until(is_so: impl Fn() -> bool) {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn runs_that_ended_without_a_task_leave_the_cache_and_no_others() {
        let client = Client::connect("memory:").await.unwrap();
        let worker = Worker::builder(&client, "waits").workflow::<Waits>().idle_check(Duration::from_millis(20));
        let story = async {
            let start = |name: &str| client.start(Waits::run()).id(name).task_queue("waits");
            let (kept, first, second) =
                (start("kept").await.unwrap(), start("1").await.unwrap(), start("2").await.unwrap());
            until(|| LIVE.load(Ordering::SeqCst) == 3).await;
            first.terminate("no longer wanted").await.unwrap();
            second.terminate("no longer wanted").await.unwrap();
            until(|| LIVE.load(Ordering::SeqCst) == 1).await;
            kept.finish().await.unwrap();
            assert_eq!(kept.result().await.unwrap(), 5);
            assert_eq!(MADE.load(Ordering::SeqCst), 3, "none was replayed");
        };
        let whole = worker.build().unwrap().run_until(story);
        tokio::time::timeout(Duration::from_secs(60), whole).await.expect("both are dropped").unwrap();
    }
}
