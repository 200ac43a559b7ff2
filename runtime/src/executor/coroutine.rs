//! Coroutines, and the queue that orders them by their wakes.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::thread::ThreadId;

use super::call_site::CallSite;
use super::scope::ScopeId;
use crate::data::Headers;
use crate::errors::WorkflowError;
use crate::raw;

/// The future of workflow code, which never leaves the thread of its run.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// A future that the executor polls: `run`, a handler, or an argument of `spawn`.
pub(super) struct Coroutine {
    pub(super) future: LocalFuture<Output>,
    pub(super) scope: ScopeId,
    /// The headers of the message that it handles; of the start for `run`.
    pub(super) message: Rc<Headers>,
    pub(super) waker: Waker,
    queued: Arc<CoroutineWaker>,
}

/// The output of a coroutine.
pub(crate) enum Output {
    /// `run` returned.
    Run(Result<raw::Payload, WorkflowError>),
    /// A signal's handler returned.
    Signal(Result<(), WorkflowError>),
    /// An update's handler returned.
    Update { update_id: String, result: Result<raw::Payload, WorkflowError> },
    /// A spawned coroutine ended; its join handle has the value.
    Spawned,
}

impl Coroutine {
    pub(super) fn new(
        id: u64,
        future: LocalFuture<Output>,
        scope: ScopeId,
        message: Rc<Headers>,
        ready: &Arc<Ready>,
    ) -> Self {
        let queued = Arc::new(CoroutineWaker { id, ready: ready.clone(), is_queued: AtomicBool::new(false) });
        Self { future, scope, message, waker: queued.clone().into(), queued }
    }

    /// Called before each poll, so that a wake during the poll queues the coroutine again.
    pub(super) fn about_to_poll(&self) {
        self.queued.is_queued.store(false, Ordering::Relaxed);
    }

    /// Queues the coroutine, as a wake of its waker does.
    pub(super) fn queue(&self) {
        self.queued.push();
    }
}

/// The queue of one run. Wakes are legal on the run's own thread while the run is driven; other wakes would make the order of
/// polls depend on timing.
#[derive(Default)]
pub(super) struct Ready {
    state: Mutex<ReadyState>,
}

#[derive(Default)]
struct ReadyState {
    order: VecDeque<u64>,
    driver: Option<ThreadId>,
    illegal_wake: Option<String>,
    last_line: CallSite,
}

impl Ready {
    pub(super) fn set_driver(&self, driver: Option<ThreadId>) {
        self.lock().driver = driver;
    }

    pub(super) fn pop(&self) -> Option<u64> {
        self.lock().order.pop_front()
    }

    /// A description of the first illegal wake.
    pub(super) fn illegal_wake(&self) -> Option<String> {
        self.lock().illegal_wake.clone()
    }

    /// Records that workflow code has reached this line.
    pub(super) fn pass(&self, line: CallSite) {
        if line != CallSite::NONE {
            self.lock().last_line = line;
        }
    }

    fn lock(&self) -> MutexGuard<'_, ReadyState> {
        // No code panics under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last line that a run's code is known to have reached, for other threads to read while the code runs.
#[derive(Clone)]
pub(crate) struct LastLine(Arc<Ready>);

impl LastLine {
    pub(super) fn new(ready: &Arc<Ready>) -> Self {
        Self(ready.clone())
    }

    /// The line as `file:line`, if the code has called an operation yet.
    pub(crate) fn get(&self) -> Option<String> {
        let line = self.0.lock().last_line;
        (line != CallSite::NONE).then(|| line.to_string())
    }
}

impl std::fmt::Debug for LastLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LastLine").field(&self.get()).finish()
    }
}

struct CoroutineWaker {
    id: u64,
    ready: Arc<Ready>,
    is_queued: AtomicBool,
}

impl CoroutineWaker {
    fn push(&self) {
        if !self.is_queued.swap(true, Ordering::Relaxed) {
            self.ready.lock().order.push_back(self.id);
        }
    }
}

impl Wake for CoroutineWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let here = std::thread::current();
        {
            let mut state = self.ready.lock();
            if state.driver != Some(here.id()) {
                state.illegal_wake.get_or_insert_with(|| {
                    let place = match here.name() {
                        Some(name) => format!("the thread `{name}`"),
                        None => "another thread".to_owned(),
                    };
                    format!(
                        "a future of the workflow was woken from {place}, outside the workflow's own task: what another \
                         thread or runtime does is not in history and would not happen again on replay; do it in an activity"
                    )
                });
                return;
            }
        }
        self.push();
    }
}
