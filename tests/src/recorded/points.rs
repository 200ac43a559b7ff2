//! Points in workflow code where a recording interferes: it can hold a task open, or make it fail.
//!
//! An armed point acts once. On replay no point is armed, so points do nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError, mpsc},
    time::Duration,
};

use everloop::workflow;
use tokio::sync::oneshot;

/// Maximum time a task is held, in case the driver has failed.
const PATIENCE: Duration = Duration::from_secs(60);

type Point = (String, &'static str);

static ARMED: Mutex<BTreeMap<Point, Deed>> = Mutex::new(BTreeMap::new());

enum Deed {
    Panic,
    Hold { reached: oneshot::Sender<()>, go_on: mpsc::Receiver<()> },
}

/// Called by workflow code.
#[track_caller]
pub(super) fn point(name: &'static str) {
    let key = (workflow::info().workflow_id.clone(), name);
    let deed = ARMED.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    match deed {
        None => {}
        Some(Deed::Panic) => panic!("the recording wants this task to fail"),
        Some(Deed::Hold { reached, go_on }) => {
            // A dropped or late driver must not affect the workflow.
            let _ = reached.send(());
            let _ = go_on.recv_timeout(PATIENCE);
        }
    }
}

/// Makes the first task that comes to the point fail.
pub(super) fn panic_at(workflow_id: &str, name: &'static str) {
    arm(workflow_id, name, Deed::Panic);
}

/// Holds the first task that comes to the point.
pub(super) fn hold_at(workflow_id: &str, name: &'static str) -> Held {
    let (reached, is_reached) = oneshot::channel();
    let (go_on, waits) = mpsc::channel();
    arm(workflow_id, name, Deed::Hold { reached, go_on: waits });
    Held { is_reached, go_on }
}

fn arm(workflow_id: &str, name: &'static str, deed: Deed) {
    let key = (workflow_id.to_owned(), name);
    ARMED.lock().unwrap_or_else(PoisonError::into_inner).insert(key, deed);
}

/// A task that is held at a point, or will be. It continues when this is dropped.
pub(super) struct Held {
    is_reached: oneshot::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

impl Held {
    /// Waits until the task is at the point.
    pub(super) async fn reached(&mut self) {
        (&mut self.is_reached).await.expect("the point is still armed");
    }

    /// Lets the task continue.
    pub(super) fn release(self) {
        self.go_on.send(()).expect("the task waits");
    }
}
