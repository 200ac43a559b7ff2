//! What went wrong in a test environment, where nobody waits for a fix to be deployed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;

use crate::data::Failure;
use crate::history::History;

/// Failed workflow tasks and replays, by workflow id. Whoever waits for a result learns of them at once.
#[derive(Default)]
pub(crate) struct FailureBoard {
    failures: Mutex<HashMap<String, Failure>>,
    changed: Notify,
    check: OnceLock<Arc<dyn CheckResult>>,
}

/// Looks at the history of a workflow whose result is there.
pub(crate) trait CheckResult: Send + Sync {
    /// # Errors
    /// Why the history is not to be trusted.
    fn check(&self, history: &History) -> Result<(), Box<Failure>>;
}

impl FailureBoard {
    /// The first failure of a workflow counts: what follows is often its consequence.
    pub(crate) fn report(&self, workflow_id: &str, failure: Failure) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.entry(workflow_id.to_owned()).or_insert(failure);
        drop(failures);
        self.changed.notify_waiters();
    }

    pub(crate) fn check_results_with(&self, check: Arc<dyn CheckResult>) {
        // Set once, when the environment starts.
        let _ = self.check.set(check);
    }

    pub(crate) fn check(&self) -> Option<Arc<dyn CheckResult>> {
        self.check.get().cloned()
    }

    pub(crate) fn of(&self, workflow_id: &str) -> Option<Failure> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).get(workflow_id).cloned()
    }

    /// Waits for a failure of this workflow.
    pub(crate) async fn wait(&self, workflow_id: &str) -> Failure {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no notification is missed.
            changed.as_mut().enable();
            if let Some(failure) = self.of(workflow_id) {
                return failure;
            }
            changed.await;
        }
    }
}
