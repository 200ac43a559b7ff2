//! What the futures of workflow code and the executor share.
//!
//! Workflow code issues commands and waits for operations; the executor applies events to them. Both hold the same
//! [`Core`], and only one of them runs at a time.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use everloop_proto::temporal::api::command::v1::command::Attributes;
use everloop_proto::temporal::api::command::v1::{
    CancelTimerCommandAttributes, RequestCancelActivityTaskCommandAttributes, StartTimerCommandAttributes,
};

use super::activity::{self, Activity, ActivityRequest, CancelActivity, Ended};
use super::command::{CallSite, CommandKind, Issued};
use super::coroutine::LocalFuture;
use super::coroutine::{Coroutine, Output, Ready};
use super::error::ReplayError;
use super::info::WorkflowInfo;
use super::operation::{Kind, OnDrop, Operation, OperationId, Outcome};
use super::random::RandomSource;
use super::scope::{ScopeId, Scopes};
use super::timer::{CancelTimer, Timer};
use crate::data::{Failure, WorkerActivityOptions, duration_to_wire};
use crate::raw;

/// What the operations of a run share. It never leaves the run's thread, nor does a future that holds it: where a program
/// tries, in an activity or a spawned task, this is the name that the compiler gives as the reason.
pub struct OnlyInsideAWorkflow {
    pub(super) ready: Arc<Ready>,
    /// Whether what is replayed is compared with what was recorded, payloads too.
    compares_payloads: Cell<bool>,
    inner: RefCell<Inner>,
}

/// Its name in this crate.
pub(crate) type Core = OnlyInsideAWorkflow;

/// Makes a future `!Send` for the same reason as everything else in it, so that it is one error.
pub(crate) type WorkflowOnly = PhantomData<Rc<OnlyInsideAWorkflow>>;

/// What workflow code may do just now.
#[derive(Clone, PartialEq)]
enum Access {
    /// Everything.
    Full,
    /// Read. The text says who reads, for messages.
    Read(String),
    /// Nothing: the run is over, and what still drops must not disturb.
    TornDown,
}

struct Inner {
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
    /// Ids of timers and activities: one counter, in order of issue.
    next_id: u64,
    timers: BTreeMap<String, OperationId>,
    activities: BTreeMap<i64, OperationId>,
    issued: Vec<Issued>,
    /// Waits for conditions, in order of registration. Each is asked again after every sweep.
    conditions: Vec<(OperationId, Waker)>,
    conditions_met: usize,
    spawned: Vec<(u64, Coroutine)>,
    next_coroutine: u64,
    handlers_running: usize,
    workflow: Option<Rc<dyn Any>>,
}

impl Core {
    pub(super) fn new(run_id: &str, worker_options: Arc<WorkerActivityOptions>) -> Rc<Self> {
        Rc::new(Self {
            ready: Arc::default(),
            compares_payloads: Cell::new(false),
            inner: RefCell::new(Inner {
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
                timers: BTreeMap::new(),
                activities: BTreeMap::new(),
                issued: Vec::new(),
                conditions: Vec::new(),
                conditions_met: 0,
                spawned: Vec::new(),
                next_coroutine: 1,
                handlers_running: 0,
                workflow: None,
            }),
        })
    }

    // ---- for workflow code: facts ----

    pub(crate) fn now(&self) -> SystemTime {
        self.inner.borrow().now
    }

    /// What the run knows about itself. It is known before any workflow code runs.
    pub(crate) fn info(&self) -> Rc<WorkflowInfo> {
        self.inner.borrow().info.clone().expect("the first event sets it before workflow code runs")
    }

    pub(crate) fn is_replaying(&self) -> bool {
        self.inner.borrow().replaying
    }

    /// Who reads, where writing is refused.
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
    /// In queries, validators and conditions: they must leave no trace.
    #[track_caller]
    pub(crate) fn next_random(&self) -> u64 {
        self.refuse_reader("draws a random number");
        self.inner.borrow_mut().random.next_u64()
    }

    /// Handlers that have started and not returned.
    pub(crate) fn handlers_running(&self) -> usize {
        self.inner.borrow().handlers_running
    }

    // ---- for workflow code: operations ----

    /// A timer, as a command of the current task.
    #[track_caller]
    pub(crate) fn start_timer(
        &self,
        duration: Duration,
        summary: Option<String>,
        scope: ScopeId,
        site: &'static Location<'static>,
    ) -> OperationId {
        self.refuse_reader("starts a timer");
        self.pass(site);
        let mut inner = self.inner.borrow_mut();
        let id = inner.take_id();
        let attributes = StartTimerCommandAttributes {
            timer_id: id.to_string(),
            start_to_fire_timeout: Some(duration_to_wire(duration)),
        };
        let kind = CommandKind::StartTimer { timer_id: id.to_string() };
        let operation = inner.add(scope, Kind::Timer(Timer::Requested { id }), site.into());
        inner.timers.insert(id.to_string(), operation);
        let mut issued = Issued::new(kind, site.into(), Some(Attributes::StartTimerCommandAttributes(attributes)));
        issued.operation = Some(operation);
        issued.summary = summary;
        inner.issue(issued);
        operation
    }

    /// An activity, as a command of the current task.
    #[track_caller]
    pub(crate) fn schedule_activity(
        &self,
        request: ActivityRequest,
        input: impl FnOnce() -> Vec<raw::Payload>,
        scope: ScopeId,
        site: &'static Location<'static>,
    ) -> OperationId {
        self.refuse_reader(&format!("schedules the activity `{}`", request.activity_type));
        self.pass(site);
        let is_replaying = self.is_replaying();
        // On replay nothing is sent, so nothing is encoded, unless it is compared, or refused. User code encodes: no borrow may
        // be held here.
        let is_wanted = !is_replaying || self.compares_payloads.get();
        let input = if is_wanted { input() } else { Vec::new() };
        let worker_options = self.inner.borrow().worker_options.clone();
        let options = worker_options.of_call(request.activity_type, request.options, request.attribute);
        if let (Err(error), false) = (options.check(), is_replaying) {
            panic!("activity `{}`, called at {}: {error}", request.activity_type, CallSite::from(site));
        }
        let mut inner = self.inner.borrow_mut();
        let next = inner.take_id().to_string();
        let activity_id = request.activity_id.clone().unwrap_or(next);
        let activity_type = request.activity_type;
        let cancellation = options.cancellation_type.unwrap_or_default();
        let kind =
            CommandKind::ScheduleActivity { activity_type: activity_type.to_owned(), activity_id: activity_id.clone() };
        let machine = Activity {
            activity_type,
            activity_id: activity_id.clone(),
            cancellation,
            state: activity::State::Requested,
        };
        let operation = inner.add(scope, Kind::Activity(machine), site.into());
        let summary = request.summary.clone();
        let attributes = is_wanted.then(|| {
            let task_queue = inner.info.as_ref().map(|info| info.task_queue.clone()).unwrap_or_default();
            let request = ActivityRequest { options, ..request };
            Attributes::ScheduleActivityTaskCommandAttributes(activity::schedule_command(
                request,
                activity_id,
                input,
                &task_queue,
            ))
        });
        let mut issued = Issued::new(kind, site.into(), attributes);
        issued.operation = Some(operation);
        issued.summary = summary;
        inner.issue(issued);
        operation
    }

    /// Something to wait for that only this run knows.
    #[track_caller]
    pub(crate) fn wait_locally(&self, scope: ScopeId) -> OperationId {
        self.refuse_reader("waits");
        self.inner.borrow_mut().add(scope, Kind::Local, CallSite::NONE)
    }

    /// The cancellation of a scope, as something to wait for.
    #[track_caller]
    pub(crate) fn wait_for_cancellation(&self, scope: ScopeId) -> OperationId {
        self.refuse_reader("waits");
        self.inner.borrow_mut().add(scope, Kind::Cancellation, CallSite::NONE)
    }

    /// Asks a condition again after every sweep, until its operation is gone.
    pub(crate) fn register_condition(&self, operation: OperationId, waker: &Waker) {
        let mut inner = self.inner.borrow_mut();
        match inner.conditions.iter_mut().find(|(known, _)| *known == operation) {
            Some((_, known)) => known.clone_from(waker),
            None => inner.conditions.push((operation, waker.clone())),
        }
    }

    /// A condition was found true.
    pub(crate) fn condition_met(&self, operation: OperationId) {
        let mut inner = self.inner.borrow_mut();
        inner.conditions.retain(|(known, _)| *known != operation);
        inner.conditions_met += 1;
        inner.operations.remove(&operation);
    }

    /// Reads without being able to write, as conditions must.
    pub(crate) fn reading<R>(&self, reader: &str, read: impl FnOnce() -> R) -> R {
        struct Restore<'a>(&'a RefCell<Inner>, Access);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.borrow_mut().access = self.1.clone();
            }
        }
        let access = std::mem::replace(&mut self.inner.borrow_mut().access, Access::Read(reader.to_owned()));
        let _restore = Restore(&self.inner, access);
        read()
    }

    /// The outcome of an operation, once. An undelivered cancellation is taken at an operation's first poll.
    pub(crate) fn poll(&self, id: OperationId, waker: &Waker) -> Poll<Outcome> {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        let Some(operation) = inner.operations.get_mut(&id) else { return Poll::Pending };
        if !std::mem::replace(&mut operation.polled, true)
            && operation.outcome.is_none()
            && inner.scopes.take_undelivered(operation.scope)
        {
            inner.cancel(id);
        }
        let Some(operation) = inner.operations.get_mut(&id) else { return Poll::Pending };
        match operation.outcome.take() {
            Some(outcome) => {
                self.ready.pass(operation.site);
                inner.forget(id);
                Poll::Ready(outcome)
            }
            None => {
                match &mut operation.waker {
                    Some(known) => known.clone_from(waker),
                    none => *none = Some(waker.clone()),
                }
                Poll::Pending
            }
        }
    }

    /// Takes an undelivered cancellation of a scope, for operations that issue nothing before their first poll.
    pub(crate) fn take_cancellation(&self, scope: ScopeId) -> bool {
        let mut inner = self.inner.borrow_mut();
        inner.access == Access::Full && inner.scopes.take_undelivered(scope)
    }

    /// Polls a future whose first operation takes a cancellation of a scope, as if it had been pending when that came.
    pub(crate) fn delivering_cancellation<R>(&self, scope: ScopeId, poll: impl FnOnce() -> R) -> R {
        let before = self.inner.borrow_mut().scopes.replace_undelivered(scope, true);
        let polled = poll();
        self.inner.borrow_mut().scopes.replace_undelivered(scope, before);
        polled
    }

    /// How many cancellations have reached a scope.
    pub(crate) fn cancel_requests(&self, scope: ScopeId) -> usize {
        self.inner.borrow().scopes.requests(scope)
    }

    /// Resolves a local operation.
    pub(crate) fn resolve(&self, id: OperationId) {
        if let Some(operation) = self.inner.borrow_mut().operations.get_mut(&id) {
            operation.resolve(Outcome::Ready);
        }
    }

    /// Cancels one operation by its type, as cancelling its scope would.
    pub(crate) fn cancel_operation(&self, id: OperationId) {
        let mut inner = self.inner.borrow_mut();
        if inner.access == Access::Full {
            inner.cancel(id);
        }
    }

    /// The future of an operation was dropped before it gave an outcome.
    fn dropped(&self, id: OperationId, on_drop: OnDrop) {
        // While panicking the run is lost anyway, and a drop must not panic.
        if std::thread::panicking() {
            return;
        }
        let Ok(mut inner) = self.inner.try_borrow_mut() else { return };
        if inner.access == Access::TornDown {
            return;
        }
        inner.conditions.retain(|(known, _)| *known != id);
        if on_drop == OnDrop::Cancel {
            inner.cancel(id);
        }
        inner.detach(id);
    }

    // ---- for workflow code: scopes and coroutines ----

    pub(crate) fn scope(&self) -> ScopeId {
        self.inner.borrow().scope
    }

    pub(crate) fn new_scope(&self, parent: Option<ScopeId>) -> ScopeId {
        self.inner.borrow_mut().scopes.add(parent)
    }

    pub(crate) fn is_cancelled(&self, scope: ScopeId) -> bool {
        self.inner.borrow().scopes.is_cancelled(scope)
    }

    pub(crate) fn cancel_scope(&self, scope: ScopeId) {
        let mut inner = self.inner.borrow_mut();
        if inner.access == Access::Full {
            inner.cancel_scope(scope);
        }
    }

    /// Adds a coroutine; it runs after those that are ready now.
    #[track_caller]
    pub(crate) fn spawn(&self, future: LocalFuture<Output>, scope: ScopeId) {
        self.refuse_reader("spawns a coroutine");
        let mut inner = self.inner.borrow_mut();
        if inner.access == Access::TornDown {
            return;
        }
        let id = inner.next_coroutine;
        inner.next_coroutine += 1;
        let coroutine = Coroutine::new(id, future, scope, &self.ready);
        coroutine.queue();
        inner.spawned.push((id, coroutine));
    }

    /// Workflow code has come to this line.
    pub(super) fn pass(&self, line: &'static Location<'static>) {
        self.ready.pass(line.into());
    }

    #[track_caller]
    fn refuse_reader(&self, deed: &str) {
        if let Some(reader) = self.read_only() {
            panic!("{reader} {deed}: it may only read");
        }
    }

    // ---- for the executor ----

    /// Before the first event is applied.
    pub(super) fn set_info(&self, info: WorkflowInfo) {
        self.inner.borrow_mut().info = Some(Rc::new(info));
    }

    pub(super) fn set_workflow(&self, workflow: Rc<dyn Any>) {
        self.inner.borrow_mut().workflow = Some(workflow);
    }

    /// A task that delivers something begins.
    pub(super) fn begin_task(&self, time: SystemTime, history: (i64, i64, bool)) {
        let mut inner = self.inner.borrow_mut();
        inner.now = time;
        if let Some(info) = &mut inner.info {
            let info = Rc::make_mut(info);
            (info.history_length, info.history_size_bytes, info.continue_as_new_suggested) = history;
        }
    }

    /// Keeps what is replayed, to compare it with what was recorded.
    pub(super) fn compare_payloads(&self) {
        self.compares_payloads.set(true);
    }

    pub(super) fn compares_payloads(&self) -> bool {
        self.compares_payloads.get()
    }

    pub(super) fn set_replaying(&self, replaying: bool) {
        self.inner.borrow_mut().replaying = replaying;
    }

    pub(super) fn reseed(&self, run_id: &str) {
        self.inner.borrow_mut().random = RandomSource::of_run(run_id);
    }

    pub(super) fn set_scope(&self, scope: ScopeId) {
        self.inner.borrow_mut().scope = scope;
    }

    pub(super) fn scope_leaves_children(&self, scope: ScopeId) -> bool {
        self.inner.borrow().scopes.leaves_children(scope)
    }

    /// Ends the scope of a coroutine that has ended. The operations that it left running belong to the scope above from now on.
    pub(super) fn end_scope(&self, scope: ScopeId, stays_for_children: bool) {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        if let Some(heir) = inner.scopes.end(scope, stays_for_children) {
            let left = inner.operations.values_mut().filter(|operation| operation.scope == scope);
            left.for_each(|operation| operation.scope = heir);
        }
    }

    pub(super) fn handler_started(&self) {
        self.inner.borrow_mut().handlers_running += 1;
    }

    pub(super) fn handler_ended(&self) {
        self.inner.borrow_mut().handlers_running -= 1;
    }

    /// Makes a coroutine that is not queued: its first step is the caller's.
    pub(super) fn coroutine(&self, future: LocalFuture<Output>, scope: ScopeId) -> (u64, Coroutine) {
        let mut inner = self.inner.borrow_mut();
        let id = inner.next_coroutine;
        inner.next_coroutine += 1;
        (id, Coroutine::new(id, future, scope, &self.ready))
    }

    pub(super) fn take_spawned(&self) -> Vec<(u64, Coroutine)> {
        std::mem::take(&mut self.inner.borrow_mut().spawned)
    }

    /// Queues every waiting condition's coroutine. False if there is none.
    pub(super) fn wake_conditions(&self) -> bool {
        let wakers: Vec<Waker> = self.inner.borrow().conditions.iter().map(|(_, waker)| waker.clone()).collect();
        wakers.iter().for_each(Waker::wake_by_ref);
        !wakers.is_empty()
    }

    /// How many conditions were met since it was last asked.
    pub(super) fn take_conditions_met(&self) -> usize {
        std::mem::take(&mut self.inner.borrow_mut().conditions_met)
    }

    pub(super) fn issue(&self, issued: Issued) {
        self.inner.borrow_mut().issue(issued);
    }

    pub(super) fn take_issued(&self) -> Vec<Issued> {
        std::mem::take(&mut self.inner.borrow_mut().issued)
    }

    /// History has the event of an issued command.
    pub(super) fn confirm(&self, id: OperationId, event_id: i64) {
        let mut inner = self.inner.borrow_mut();
        let inner = &mut *inner;
        match inner.operations.get_mut(&id).map(|operation| &mut operation.kind) {
            Some(Kind::Timer(timer)) => *timer = timer.started(),
            Some(Kind::Activity(activity)) => {
                activity.scheduled(event_id);
                inner.activities.insert(event_id, id);
            }
            Some(Kind::Local | Kind::Cancellation) | None => {}
        }
    }

    pub(super) fn timer_fired(&self, timer_id: &str, event_id: i64) -> Result<(), ReplayError> {
        let mut inner = self.inner.borrow_mut();
        let Some(id) = inner.timers.remove(timer_id) else {
            return Err(ReplayError::invalid(event_id, format!("there is no timer `{timer_id}`")));
        };
        let Some(operation) = inner.operations.get_mut(&id) else { return Ok(()) };
        if let Kind::Timer(timer) = &mut operation.kind {
            *timer = timer.fired(event_id)?;
        }
        inner.settle(id, Outcome::Ready);
        Ok(())
    }

    /// History has the cancellation of a timer.
    pub(super) fn timer_cancelled(&self, timer_id: &str) {
        let mut inner = self.inner.borrow_mut();
        if let Some(id) = inner.timers.remove(timer_id) {
            inner.forget(id);
        }
    }

    pub(super) fn activity_closed(
        &self,
        event_id: i64,
        result: Result<Option<raw::Payload>, Failure>,
        ended: Ended,
    ) -> Result<(), ReplayError> {
        let mut inner = self.inner.borrow_mut();
        let scheduled = ended.scheduled_event_id;
        let Some(id) = inner.activities.remove(&scheduled) else {
            return Err(ReplayError::invalid(event_id, format!("event {scheduled} scheduled no activity")));
        };
        let Some(operation) = inner.operations.get_mut(&id) else { return Ok(()) };
        let Kind::Activity(activity) = &mut operation.kind else { return Ok(()) };
        activity.closed(event_id)?;
        let outcome = Outcome::Activity(result.map_err(|cause| activity.failure(cause, ended).into()));
        inner.settle(id, outcome);
        Ok(())
    }

    /// From now on operations are inert: nothing is issued, nothing resolves, nothing panics.
    pub(super) fn tear_down(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.access = Access::TornDown;
        inner.conditions.clear();
    }

    /// Takes the workflow's state from a run that is torn down. A handle in one of its fields holds this core in its turn.
    pub(super) fn take_workflow(&self) -> Option<Rc<dyn Any>> {
        self.inner.borrow_mut().workflow.take()
    }

    /// Takes what was waited for, with the wakers that user code made.
    pub(super) fn take_operations(&self) -> impl Sized + use<> {
        std::mem::take(&mut self.inner.borrow_mut().operations)
    }

    /// Operations that are waited for, with what they are: for people who ask why a workflow does not move.
    pub(super) fn waiting(&self) -> Vec<String> {
        let inner = self.inner.borrow();
        let describe = |operation: &Operation| match &operation.kind {
            Kind::Timer(Timer::Requested { id } | Timer::Running { id }) => format!("timer {id} at {}", operation.site),
            Kind::Timer(_) => "a timer that is over".to_owned(),
            Kind::Activity(activity) => {
                format!("activity {} (id {}) at {}", activity.activity_type, activity.activity_id, operation.site)
            }
            Kind::Local => "a condition, a join or a field".to_owned(),
            Kind::Cancellation => "a cancellation".to_owned(),
        };
        inner.operations.values().filter(|operation| operation.is_pending()).map(describe).collect()
    }
}

impl Inner {
    fn take_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn add(&mut self, scope: ScopeId, kind: Kind, site: CallSite) -> OperationId {
        let id = OperationId(self.next_operation);
        self.next_operation += 1;
        self.operations.insert(id, Operation::new(scope, kind, site));
        id
    }

    fn issue(&mut self, issued: Issued) {
        if self.access == Access::Full {
            self.issued.push(issued);
        }
    }

    /// Cancels an operation by its type.
    fn cancel(&mut self, id: OperationId) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        match &mut operation.kind {
            Kind::Local => operation.resolve(Outcome::Cancelled),
            Kind::Cancellation => operation.resolve(Outcome::Ready),
            Kind::Timer(timer) => {
                let (next, cancel) = timer.cancel();
                *timer = next;
                operation.resolve(Outcome::Cancelled);
                match cancel {
                    CancelTimer::Withdraw => self.withdraw(id),
                    CancelTimer::Command { id: timer_id } => {
                        let timer_id = timer_id.to_string();
                        let attributes = CancelTimerCommandAttributes { timer_id: timer_id.clone() };
                        let attributes = Attributes::CancelTimerCommandAttributes(attributes);
                        self.issue_cancel(id, CommandKind::CancelTimer { timer_id }, attributes);
                    }
                    CancelTimer::Nothing => {}
                }
            }
            Kind::Activity(activity) => {
                let failure = Box::new(activity.cancelled());
                match activity.cancel() {
                    CancelActivity::Withdraw => {
                        operation.resolve(Outcome::Activity(Err(failure)));
                        self.withdraw(id);
                    }
                    CancelActivity::Abandon => operation.resolve(Outcome::Activity(Err(failure))),
                    CancelActivity::Command { scheduled_event_id, goes_on } => {
                        if goes_on {
                            operation.resolve(Outcome::Activity(Err(failure)));
                        }
                        let attributes = RequestCancelActivityTaskCommandAttributes { scheduled_event_id };
                        let attributes = Attributes::RequestCancelActivityTaskCommandAttributes(attributes);
                        self.issue_cancel(id, CommandKind::RequestCancelActivity { scheduled_event_id }, attributes);
                    }
                    CancelActivity::Nothing => {}
                }
            }
        }
    }

    fn issue_cancel(&mut self, id: OperationId, kind: CommandKind, attributes: Attributes) {
        let site = self.operations.get(&id).map_or(CallSite::NONE, |operation| operation.site);
        let mut issued = Issued::new(kind, site, Some(attributes));
        issued.cancels = Some(id);
        self.issue(issued);
    }

    /// Cancels what is pending in a scope, in creation order. If nobody was waiting, who polls next takes it.
    fn cancel_scope(&mut self, scope: ScopeId) {
        if !self.scopes.cancel(scope) {
            return;
        }
        let within: Vec<OperationId> = self
            .operations
            .iter()
            .filter(|(_, operation)| operation.outcome.is_none() && self.scopes.is_within(operation.scope, scope))
            .map(|(id, _)| *id)
            .collect();
        let reached = within.iter().any(|id| self.operations[id].is_pending());
        within.into_iter().for_each(|id| self.cancel(id));
        if !reached {
            self.scopes.leave_undelivered(scope);
        }
    }

    /// Takes back a command that has not left, with every trace of it.
    fn withdraw(&mut self, id: OperationId) {
        self.issued.retain(|issued| issued.operation != Some(id));
        self.timers.retain(|_, timer| *timer != id);
    }

    /// An event gave the outcome. What this task asked to be cancelled is over already.
    fn settle(&mut self, id: OperationId, outcome: Outcome) {
        self.issued.retain(|issued| issued.cancels != Some(id));
        let Some(operation) = self.operations.get_mut(&id) else { return };
        if operation.detached {
            self.operations.remove(&id);
        } else {
            operation.resolve(outcome);
        }
    }

    /// Nobody will take the outcome. What history still has events for stays until they come.
    fn detach(&mut self, id: OperationId) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        operation.detached = true;
        operation.waker = None;
        self.forget(id);
    }

    /// Drops an operation, unless events will still name it.
    fn forget(&mut self, id: OperationId) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        let is_over = match &operation.kind {
            Kind::Local | Kind::Cancellation => true,
            Kind::Timer(timer) => match timer {
                Timer::Requested { .. } | Timer::Running { .. } => false,
                // After a cancel command its event is still to come; `timers` holds the id until then.
                Timer::Cancelled => !self.timers.values().any(|known| *known == id),
                Timer::Fired => true,
            },
            Kind::Activity(activity) => activity.state == activity::State::Closed,
        };
        if is_over {
            self.operations.remove(&id);
        } else {
            operation.detached = true;
        }
    }
}

/// One operation that a future waits for. Dropping it before it gave an outcome does what `on_drop` says.
pub(crate) struct Pending {
    core: Rc<Core>,
    id: OperationId,
    on_drop: OnDrop,
    is_done: bool,
}

impl Pending {
    pub(crate) fn new(core: Rc<Core>, id: OperationId, on_drop: OnDrop) -> Self {
        Self { core, id, on_drop, is_done: false }
    }

    pub(crate) fn id(&self) -> OperationId {
        self.id
    }

    /// # Panics
    /// If it gave its outcome before: nothing would ever wake a second wait.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Outcome> {
        assert!(!self.is_done, "a future of the workflow was polled again after it gave its output");
        let outcome = self.core.poll(self.id, waker);
        self.is_done |= outcome.is_ready();
        outcome
    }

    /// Whether the outcome was taken.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    pub(crate) fn cancel(&self) {
        self.core.cancel_operation(self.id);
    }

    pub(crate) fn set_on_drop(&mut self, on_drop: OnDrop) {
        self.on_drop = on_drop;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.is_done {
            self.core.dropped(self.id, self.on_drop);
        }
    }
}
