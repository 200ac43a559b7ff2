//! Failures of workflows in a test environment, where calls do not wait for a fix to be deployed.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::error::{QueryError, ResultError, UpdateError};
use crate::data::Failure;
use crate::history::History;

/// The number of failures that an environment keeps. The oldest one is dropped first.
const KEPT: usize = 1000;

/// Failed workflow tasks and failed replays of a test environment. Calls that wait for one of these workflows end at once.
#[derive(Default)]
pub(crate) struct FailureBoard {
    reports: Mutex<Reports>,
    changed: Notify,
    check: OnceLock<Arc<dyn CheckResult>>,
}

#[derive(Default)]
struct Reports {
    /// One failure for each workflow id, the oldest first.
    kept: Vec<Report>,
    /// The number of failures that were reported.
    count: u64,
    /// The latest started runs, by workflow id and run id, oldest first.
    started: VecDeque<(String, String)>,
}

impl Reports {
    /// Whether the workflow id has a later run. Tasks of the earlier one may still be running.
    fn has_later_run(&self, workflow_id: &str, run_id: &str) -> bool {
        let mut runs = self.started.iter().filter(|(id, _)| id == workflow_id).map(|(_, run)| run);
        runs.any(|run| run == run_id) && runs.next().is_some()
    }
}

struct Report {
    number: u64,
    run_id: String,
    failed: TaskFailed,
    /// Whether a call has returned the failure.
    is_returned: bool,
}

/// The failure of a workflow's task.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a task of workflow `{workflow_id}` failed: {failure}")]
pub(crate) struct TaskFailed {
    pub(crate) workflow_id: String,
    pub(crate) failure: Failure,
}

macro_rules! from_task_failed {
    ($($error:ident),*) => {$(
        impl From<TaskFailed> for $error {
            fn from(TaskFailed { workflow_id, failure }: TaskFailed) -> Self {
                Self::TaskFailed { workflow_id, failure }
            }
        }
    )*};
}
from_task_failed!(ResultError, QueryError, UpdateError);

/// Checks the history of a workflow whose result is available.
pub(crate) trait CheckResult: Send + Sync {
    /// # Errors
    /// The difference that the check has found.
    fn check(&self, history: &History) -> Result<(), Box<Failure>>;
}

/// Awaits a call that waits for a workflow. In a test environment, which has a board, the call ends with the failure of the
/// workflow's task, if there is one.
pub(crate) async fn unless_failed<T, E: From<TaskFailed>>(
    board: Option<&Arc<FailureBoard>>,
    workflow_id: &str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Some(board) = board else { return call.await };
    tokio::select! {
        biased;
        failed = board.wait(workflow_id) => Err(failed.into()),
        returned = call => returned,
    }
}

impl FailureBoard {
    /// Reports a failure. Only the first one of a run is kept, because later ones are often its consequence.
    pub(crate) fn report(&self, workflow_id: &str, run_id: &str, failure: Failure) {
        let mut reports = self.reports();
        if reports.has_later_run(workflow_id, run_id) {
            return;
        }
        let known = reports.kept.iter().position(|report| report.failed.workflow_id == workflow_id);
        match known {
            Some(index) if reports.kept[index].run_id == run_id => return,
            Some(index) => drop(reports.kept.remove(index)),
            None if reports.kept.len() == KEPT => drop(reports.kept.remove(0)),
            None => {}
        }
        let number = reports.count;
        reports.count += 1;
        let failed = TaskFailed { workflow_id: workflow_id.to_owned(), failure };
        reports.kept.push(Report { number, run_id: run_id.to_owned(), failed, is_returned: false });
        drop(reports);
        self.changed.notify_waiters();
    }

    /// Drops the failures of earlier runs of the workflow id, including those that are reported later.
    pub(crate) fn run_started(&self, workflow_id: &str, run_id: &str) {
        let mut reports = self.reports();
        reports.kept.retain(|report| report.failed.workflow_id != workflow_id || report.run_id == run_id);
        // A start that returns an existing run starts no new one.
        if !reports.started.iter().any(|(_, run)| run == run_id) {
            if reports.started.len() == KEPT {
                reports.started.pop_front();
            }
            reports.started.push_back((workflow_id.to_owned(), run_id.to_owned()));
        }
    }

    /// The number of failures that were reported.
    #[cfg(all(feature = "embedded", feature = "worker"))]
    pub(crate) fn count(&self) -> u64 {
        self.reports().count
    }

    /// The first failure that no call has returned, or that was reported after this number of others.
    #[cfg(all(feature = "embedded", feature = "worker"))]
    pub(crate) fn unseen(&self, after: u64) -> Option<TaskFailed> {
        let reports = self.reports();
        let unseen = reports.kept.iter().find(|report| report.number >= after || !report.is_returned);
        unseen.map(|report| report.failed.clone())
    }

    /// Waits for a failure of this workflow.
    async fn wait(&self, workflow_id: &str) -> TaskFailed {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Later notifications are not missed.
            changed.as_mut().enable();
            if let Some(failed) = self.take(workflow_id) {
                return failed;
            }
            changed.await;
        }
    }

    fn take(&self, workflow_id: &str) -> Option<TaskFailed> {
        let mut reports = self.reports();
        let report = reports.kept.iter_mut().find(|report| report.failed.workflow_id == workflow_id)?;
        report.is_returned = true;
        Some(report.failed.clone())
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the check of results. Only the first call has an effect.
    pub(crate) fn check_results_with(&self, check: Arc<dyn CheckResult>) {
        // The environment sets the check once, when it starts.
        let _ = self.check.set(check);
    }

    pub(crate) fn check(&self) -> Option<Arc<dyn CheckResult>> {
        self.check.get().cloned()
    }
}

#[cfg(all(test, feature = "embedded", feature = "worker"))]
mod tests {
    use super::*;

    fn failure(text: &str) -> Failure {
        Failure::application("Test", text)
    }

    fn message(board: &FailureBoard, workflow_id: &str) -> Option<String> {
        board.take(workflow_id).map(|failed| failed.failure.message)
    }

    #[test]
    fn the_board_keeps_the_latest_failures() {
        let board = FailureBoard::default();
        for number in 0..=KEPT {
            board.report(&number.to_string(), "run", failure("it"));
        }
        assert_eq!(board.reports().kept.len(), KEPT);
        assert!(message(&board, "0").is_none());
        assert!(message(&board, &KEPT.to_string()).is_some());
    }

    #[test]
    fn the_first_failure_of_a_run_counts_until_the_next_run() {
        let board = FailureBoard::default();
        board.report("it", "1", failure("first"));
        board.report("it", "1", failure("second"));
        board.run_started("it", "1");
        assert_eq!(message(&board, "it").as_deref(), Some("first"));
        board.run_started("it", "2");
        assert_eq!(message(&board, "it"), None);
        // A task of the previous run was still running.
        board.report("it", "1", failure("late"));
        assert_eq!(message(&board, "it"), None);
        board.report("it", "2", failure("third"));
        assert_eq!(message(&board, "it").as_deref(), Some("third"));
    }

    #[test]
    fn a_failure_that_a_call_has_returned_is_seen() {
        let board = FailureBoard::default();
        board.report("it", "1", failure("first"));
        let after = board.count();
        assert!(board.unseen(after).is_some());
        message(&board, "it");
        assert!(board.unseen(after).is_none());
        board.report("other", "1", failure("second"));
        message(&board, "other");
        assert_eq!(board.unseen(after).unwrap().workflow_id, "other");
    }
}
