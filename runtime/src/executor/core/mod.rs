//! The state that the futures of workflow code and the executor share.
//!
//! Workflow code issues commands and waits for operations; the executor applies events to them. Both hold the same
//! [`Core`], and only one of them runs at a time.

mod applying;
mod conditions;
mod coroutines;
mod issue;
mod local;
mod patches;
pub(super) mod pending;
mod scopes;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{SystemTime, UNIX_EPOCH};

use super::coroutine::{Coroutine, Ready};
use super::definition::Definition;
use super::info::WorkflowInfo;
use super::issued::Issued;
use super::local_calls::LocalCalls;
use super::operations::{Key, Operation, OperationId};
use super::patches::Patches;
use super::random::RandomSource;
use super::scope::{ScopeId, Scopes};
use crate::data::{Headers, WorkerActivityOptions};

/// A run's state in the futures of workflow code. It makes them `!Send`, so they never leave the run's thread. The compiler
/// names this type as the reason if a program awaits one of them in an activity or a spawned task.
pub struct OnlyInsideAWorkflow(Core);

/// Makes a future `!Send` for the same reason as its other fields, so that the compiler reports one error.
pub(crate) type WorkflowOnly = PhantomData<SharedCore>;

/// A shared reference to the state of a run, for its futures and the run itself.
pub(crate) type SharedCore = Rc<OnlyInsideAWorkflow>;

#[doc(hidden)]
impl Deref for OnlyInsideAWorkflow {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.0
    }
}

/// State that the operations of a run share.
pub struct Core {
    pub(in crate::executor) ready: Arc<Ready>,
    /// Whether replay compares payloads as well.
    compares_payloads: Cell<bool>,
    inner: RefCell<CoreState>,
}

/// The current access of workflow code.
#[derive(Clone, PartialEq)]
enum Access {
    /// Workflow code may read and write.
    Full,
    /// Workflow code may only read. The text names the reader, for messages.
    Read(String),
    /// The run is over, and destructors must have no effect.
    TornDown,
}

struct CoreState {
    access: Access,
    replaying: bool,
    now: SystemTime,
    info: Option<Rc<WorkflowInfo>>,
    random: RandomSource,
    worker_options: Arc<WorkerActivityOptions>,
    scopes: Scopes,
    /// The scope of the code that is being executed.
    scope: ScopeId,
    operations: BTreeMap<OperationId, Operation>,
    next_operation: u64,
    /// The counter of the ids of timers and activities, in order of issue.
    next_id: u64,
    /// The operations, by the keys in events.
    keys: BTreeMap<Key, OperationId>,
    issued: Vec<Issued>,
    local: LocalCalls,
    /// Waiting conditions, in order of registration. Each is evaluated after every sweep.
    conditions: Vec<(OperationId, Waker)>,
    conditions_met: usize,
    spawned: Vec<(u64, Coroutine)>,
    next_coroutine: u64,
    handlers_running: usize,
    /// The headers of the message whose coroutine is being executed.
    message: Rc<Headers>,
    /// The definition, if it sees commands before they leave.
    observer: Option<Arc<dyn Definition>>,
    patches: Patches,
    /// Warnings for the completion of the live task.
    warnings: Vec<String>,
    workflow: Option<Rc<dyn Any>>,
    /// The command that ended the workflow in place of a return, until the executor takes it.
    ended: Option<Issued>,
}

impl Core {
    pub(in crate::executor) fn shared(
        run_id: &str,
        worker_options: Arc<WorkerActivityOptions>,
        lists_patches: bool,
        definition: &Arc<dyn Definition>,
    ) -> SharedCore {
        Rc::new(OnlyInsideAWorkflow(Self {
            ready: Arc::default(),
            compares_payloads: Cell::new(false),
            inner: RefCell::new(CoreState {
                access: Access::Full,
                replaying: true,
                now: UNIX_EPOCH,
                info: None,
                random: RandomSource::of_run(run_id),
                worker_options,
                scopes: Scopes::new(),
                scope: Scopes::ROOT,
                operations: BTreeMap::new(),
                next_operation: 1,
                next_id: 1,
                keys: BTreeMap::new(),
                issued: Vec::new(),
                local: LocalCalls::default(),
                conditions: Vec::new(),
                conditions_met: 0,
                spawned: Vec::new(),
                next_coroutine: 1,
                handlers_running: 0,
                message: Rc::default(),
                observer: definition.sees_commands().then(|| definition.clone()),
                patches: Patches::new(lists_patches),
                warnings: Vec::new(),
                workflow: None,
                ended: None,
            }),
        }))
    }

    // ---- for workflow code: facts ----

    pub(crate) fn now(&self) -> SystemTime {
        self.inner.borrow().now
    }

    /// Facts about the run. They are set before any workflow code runs.
    pub(crate) fn info(&self) -> Rc<WorkflowInfo> {
        self.inner.borrow().info.clone().expect("the first event sets it before workflow code runs")
    }

    pub(crate) fn is_replaying(&self) -> bool {
        self.inner.borrow().replaying
    }

    /// The name of the current reader, if workflow code may only read.
    pub(crate) fn read_only(&self) -> Option<String> {
        match &self.inner.borrow().access {
            Access::Read(reader) => Some(reader.clone()),
            Access::Full | Access::TornDown => None,
        }
    }

    pub(crate) fn workflow(&self) -> Option<Rc<dyn Any>> {
        self.inner.borrow().workflow.clone()
    }

    /// The next random number.
    ///
    /// # Panics
    /// In queries, validators and conditions, which must not change the run.
    #[track_caller]
    pub(crate) fn next_random(&self) -> u64 {
        self.refuse_reader("draws a random number");
        self.inner.borrow_mut().random.next_u64()
    }

    /// The number of handlers that have started and not returned.
    pub(crate) fn handlers_running(&self) -> usize {
        self.inner.borrow().handlers_running
    }

    /// Records that workflow code has reached this line.
    pub(in crate::executor) fn pass(&self, line: &'static Location<'static>) {
        self.ready.pass(line.into());
    }

    /// Panics if the current code may only read; `deed` describes its action.
    #[track_caller]
    pub(in crate::executor) fn refuse_reader(&self, deed: &str) {
        if let Some(reader) = self.read_only() {
            panic!("{reader} {deed}: it may only read");
        }
    }

    // ---- for the executor ----

    /// Sets the facts about the run, before the first event is applied.
    pub(in crate::executor) fn set_info(&self, info: WorkflowInfo) {
        self.inner.borrow_mut().info = Some(Rc::new(info));
    }

    /// A coroutine of the message with these headers is about to be executed.
    pub(in crate::executor) fn set_message(&self, headers: Rc<Headers>) {
        self.inner.borrow_mut().message = headers;
    }

    pub(in crate::executor) fn set_workflow(&self, workflow: Rc<dyn Any>) {
        self.inner.borrow_mut().workflow = Some(workflow);
    }

    /// Begins a task that delivers inputs.
    pub(in crate::executor) fn begin_task(&self, time: SystemTime, history: (i64, i64, bool)) {
        let mut inner = self.inner.borrow_mut();
        inner.now = inner.local.not_before_last_end(time);
        if let Some(info) = &mut inner.info {
            let info = Rc::make_mut(info);
            (info.history_length, info.history_size_bytes, info.continue_as_new_suggested) = history;
        }
    }

    /// Makes replay compare payloads as well.
    pub(in crate::executor) fn compare_payloads(&self) {
        self.compares_payloads.set(true);
    }

    pub(in crate::executor) fn compares_payloads(&self) -> bool {
        self.compares_payloads.get()
    }

    pub(in crate::executor) fn set_replaying(&self, replaying: bool) {
        self.inner.borrow_mut().replaying = replaying;
    }

    pub(in crate::executor) fn reseed(&self, run_id: &str) {
        self.inner.borrow_mut().random = RandomSource::of_run(run_id);
    }
}
