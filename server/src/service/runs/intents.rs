//! Carries out the messages of runs to other runs.
//!
//! A message is queued in the transition that sends it, and carried out when its commit is queued and the run's lock is
//! released: the store writes commits in their order, so the effect of a message is never stored without its cause. A
//! message from an open run stays in the state of the run until its result is recorded, and one from a closed run stays
//! in its outbox; after a crash both are carried out again. Every receiver recognizes a repeat.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};

use crate::api::common::WorkflowExecution;
use crate::api::enums::{
    CancelExternalWorkflowExecutionFailedCause, ParentClosePolicy, SignalExternalWorkflowExecutionFailedCause,
    StartChildWorkflowExecutionFailedCause,
};
use crate::clock::ClockHolder;
use crate::clock::timers::{Due, Hold};
use crate::engine::cancel::{ExternalSource, StopRequest};
use crate::engine::child::state::Parent;
use crate::engine::effects::Close;
use crate::engine::error::Refusal;
use crate::engine::event::{Attributes, EventId, HISTORY_SERVICE};
use crate::engine::external::External;
use crate::engine::intent::{ChildReport, Intent, LeftChild, Outbox};
use crate::engine::run::Run;
use crate::engine::start::Start;
use crate::engine::time::Time;
use crate::limits::SIGNALS_MAX;
use crate::model::{NamespaceKey, RunKey};
use crate::namespaces::Namespace;
use crate::service::calls::start::Policies;
use crate::service::core::Core;
use crate::service::runs::closed::ClosedRun;
use crate::service::runs::lookup::Found;
use crate::service::runs::open::OpenRun;
use crate::service::runs::slot::{Slot, lock};
use crate::store::{Record, RecordKind, StoreError, Write};

/// The number of senders whose messages one change carries out; the timers' thread continues with the others, so that
/// the caller of a change does not wait for thousands of children.
const SENDERS_PER_CHANGE: usize = 64;
/// A signal to a workflow that is about to close is sent again after this time.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// The messages that wait to be carried out, in the order in which they were sent.
#[derive(Debug, Default)]
pub(in crate::service) struct Intents {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Sending>,
    /// Whether a thread is carrying out messages; it also takes those that are added meanwhile.
    is_served: bool,
}

/// A run that sends messages.
#[derive(Clone, Debug)]
pub(in crate::service) struct Sender {
    pub(in crate::service) namespace: Arc<Namespace>,
    pub(in crate::service) workflow_id: Arc<str>,
    pub(in crate::service) run_id: Arc<str>,
    pub(in crate::service) run: RunKey,
}

/// The messages of one transition.
#[derive(Debug)]
struct Sending {
    sender: Sender,
    intents: Vec<Intent>,
    /// Whether the messages are in the outbox of a closed run.
    in_outbox: bool,
    /// Keeps a time-skipping clock from jumping meanwhile.
    _hold: Hold,
}

/// Messages that are carried out later, on the timers' thread.
struct Later {
    core: Weak<Core>,
    again: Mutex<Option<Sending>>,
}

impl Due for Later {
    fn fire(self: Arc<Self>, _: Time) {
        let Some(core) = self.core.upgrade() else { return };
        if let Some(sending) = lock(&self.again).take() {
            lock(&core.runs.intents.waiting).queue.push_back(sending);
        }
        core.carry_out_intents();
    }
}

impl Sender {
    fn execution(&self) -> WorkflowExecution {
        WorkflowExecution { workflow_id: self.workflow_id.to_string(), run_id: self.run_id.to_string() }
    }
}

impl Core {
    /// The outbox of a run that has closed in this transition, as the store keeps it.
    pub(super) fn outbox(&self, open: &OpenRun, intents: &[Intent]) -> Option<Record> {
        if intents.is_empty() || !self.keeps_outbox(open) {
            return None;
        }
        let outbox = Outbox::of(&open.run.info.workflow_id, &open.run.info.run_id, intents);
        Some(outbox_record(open.namespace.key, open.key, outbox.encode_to_vec()))
    }

    /// Queues the messages of a transition. The caller holds the run's lock.
    pub(super) fn queue_intents(self: &Arc<Self>, open: &OpenRun, intents: Vec<Intent>) {
        if intents.is_empty() {
            return;
        }
        let sender = Sender {
            namespace: Arc::clone(&open.namespace),
            workflow_id: Arc::clone(&open.run.info.workflow_id),
            run_id: Arc::clone(&open.run.info.run_id),
            run: open.key,
        };
        self.queue_sending(sender, intents, self.keeps_outbox(open));
    }

    /// Whether the messages of a run are stored until they are carried out: its state holds those of an open run.
    fn keeps_outbox(&self, open: &OpenRun) -> bool {
        !open.run.is_open() && self.store.outlives_process()
    }

    fn queue_sending(self: &Arc<Self>, sender: Sender, intents: Vec<Intent>, in_outbox: bool) {
        let hold = self.timers.hold(ClockHolder::Intent);
        lock(&self.runs.intents.waiting).queue.push_back(Sending { sender, intents, in_outbox, _hold: hold });
    }

    /// Queues the messages of closed runs that an earlier process did not carry out.
    pub(super) fn resume_outboxes(self: &Arc<Self>) -> Result<(), StoreError> {
        for record in self.store.load_records(RecordKind::Outbox)? {
            let namespace = self.namespaces.with_key(record.namespace);
            let run = record.name.parse().map(RunKey).ok();
            let (Some(namespace), Some(run), Ok(outbox)) = (namespace, run, Outbox::decode(record.data)) else {
                tracing::error!(run = &*record.name, "messages of a closed run to other runs cannot be read");
                continue;
            };
            let (workflow_id, run_id) = (outbox.workflow_id.as_str().into(), outbox.run_id.as_str().into());
            self.queue_sending(Sender { namespace, workflow_id, run_id, run }, outbox.into_intents(), true);
        }
        self.carry_out_rest();
        Ok(())
    }

    /// Carries out messages that wait, unless another thread does. The caller holds no lock.
    pub(in crate::service) fn carry_out_intents(self: &Arc<Self>) {
        {
            let mut waiting = lock(&self.runs.intents.waiting);
            if waiting.queue.is_empty() || std::mem::replace(&mut waiting.is_served, true) {
                return;
            }
        }
        let served = Served(self);
        for _ in 0..SENDERS_PER_CHANGE {
            let next = lock(&self.runs.intents.waiting).queue.pop_front();
            match next {
                Some(sending) => self.carry_out(sending),
                None => break,
            }
        }
        drop(served);
        self.carry_out_rest();
    }

    /// Leaves messages that still wait to the timers' thread.
    fn carry_out_rest(self: &Arc<Self>) {
        if !lock(&self.runs.intents.waiting).queue.is_empty() {
            self.carry_out_later(None, self.clock.now());
        }
    }

    /// For tests: from now on, messages wait for another process.
    #[cfg(test)]
    pub(in crate::service) fn hold_intents(&self) {
        lock(&self.runs.intents.waiting).is_served = true;
    }

    fn carry_out_later(self: &Arc<Self>, again: Option<Sending>, at: Time) {
        self.timers.arm(at, Arc::new(Later { core: Arc::downgrade(self), again: Mutex::new(again) }));
    }

    fn carry_out(self: &Arc<Self>, sending: Sending) {
        let Sending { sender, intents, in_outbox, _hold } = sending;
        let mut intents = intents.into_iter();
        while let Some(intent) = intents.next() {
            let carried_out = match &intent {
                Intent::StartChild(initiated) => self.start_child(&sender, *initiated),
                Intent::Introduce => self.introduce_again(&sender),
                Intent::SignalExternal(initiated) => self.signal_external(&sender, *initiated),
                Intent::CancelExternal(initiated) => self.cancel_external(&sender, *initiated),
                Intent::ReportClose(report) => self.report_close(&sender, report),
                Intent::Leave(child) => self.leave_child(&sender, child),
            };
            match carried_out {
                Ok(()) => {}
                Err(status) if status.code() == Code::ResourceExhausted => {
                    // Those after it keep their order.
                    let intents = std::iter::once(intent).chain(intents).collect();
                    let again = Sending { sender, intents, in_outbox, _hold };
                    return self.carry_out_later(Some(again), self.clock.now() + RETRY_AFTER);
                }
                // The store has failed. The message is carried out when the file is opened again.
                Err(status) => {
                    let (workflow_id, run_id) = (&*sender.workflow_id, &*sender.run_id);
                    tracing::error!(workflow_id, run_id, "a message to another run failed: {}", status.message());
                    return;
                }
            }
        }
        if in_outbox {
            let record = outbox_record(sender.namespace.key, sender.run, Vec::new());
            self.store.commit(vec![Write { outbox: Some(record), ..Write::nothing(sender.run) }]);
        }
    }

    /// As [`Core::with_open`], for a transition.
    fn change_open(
        self: &Arc<Self>,
        namespace: &Namespace,
        workflow_id: &str,
        run_id: &str,
        transition: impl FnOnce(&mut Run, Time) -> Result<(), Refusal> + Send,
    ) -> Result<Found<()>, Status> {
        let changed = self.with_open(namespace, workflow_id, run_id, |slot, open| {
            match self.change(slot, open, |open, now| Ok((transition(&mut open.run, now)?, Close::Write))) {
                Ok(()) => Ok(true),
                // The run was terminated, because its history would have been too long.
                Err(_) if !open.run.is_open() => Ok(false),
                Err(refusal) => Err(refusal.into()),
            }
        })?;
        Ok(match changed {
            Found::Open(true) => Found::Open(()),
            Found::Open(false) => self.with_open(namespace, workflow_id, run_id, |_, _| Ok(()))?,
            Found::Closed(closed) => Found::Closed(closed),
            Found::Unknown => Found::Unknown,
        })
    }

    /// Changes the sender, unless it has closed.
    fn report_to(
        self: &Arc<Self>,
        sender: &Sender,
        transition: impl FnOnce(&mut Run, Time) + Send,
    ) -> Result<(), Status> {
        self.change_open(&sender.namespace, &sender.workflow_id, &sender.run_id, |run, now| {
            transition(run, now);
            Ok(())
        })?;
        Ok(())
    }

    /// Reads the sender, unless it has closed.
    fn read<R: Send>(
        self: &Arc<Self>,
        sender: &Sender,
        read: impl FnOnce(&Run) -> Option<R> + Send,
    ) -> Result<Option<R>, Status> {
        let found =
            self.with_open(&sender.namespace, &sender.workflow_id, &sender.run_id, |_, open| Ok(read(&open.run)))?;
        Ok(if let Found::Open(result) = found { result } else { None })
    }

    fn start_child(self: &Arc<Self>, parent: &Sender, initiated: EventId) -> Result<(), Status> {
        let Some(start) = self.read(parent, |run| run.child_start(initiated))? else { return Ok(()) };
        let fail = |cause| self.report_to(parent, move |run, now| run.child_start_failed(initiated, cause, now));
        let policies = Policies::of_child(start.reuse_policy);
        let workflow_id = start.fields.workflow_id.clone();
        let start = Start::check(start.fields, self.clock.now())?;
        let started = match self.start_admitted(&parent.namespace, start, policies, None, None, None) {
            Ok(started) => started,
            Err(status) if status.code() == Code::AlreadyExists => {
                return fail(StartChildWorkflowExecutionFailedCause::WorkflowAlreadyExists);
            }
            Err(status) => return Err(status),
        };
        let link = Parent {
            namespace: parent.namespace.names(),
            execution: parent.execution(),
            initiated_event_id: initiated,
        };
        self.introduce(&parent.namespace, &workflow_id, &started.run_id, &started.first_run_id, &link)
    }

    fn introduce_again(self: &Arc<Self>, child: &Sender) -> Result<(), Status> {
        let parent = self.read(child, |run| {
            run.info.origin.as_ref().map(|origin| (origin.parent.clone(), Arc::clone(&run.info.first_run_id)))
        })?;
        let Some((parent, first_run_id)) = parent else { return Ok(()) };
        self.introduce(&child.namespace, &child.workflow_id, &child.run_id, &first_run_id, &parent)
    }

    /// Reports the start of a child to its parent, then schedules the child's first workflow task.
    fn introduce(
        self: &Arc<Self>,
        namespace: &Namespace,
        workflow_id: &str,
        run_id: &str,
        first_run_id: &str,
        parent: &Parent,
    ) -> Result<(), Status> {
        let Parent { execution, initiated_event_id, .. } = parent;
        let reported = self.change_open(namespace, &execution.workflow_id, &execution.run_id, |run, now| {
            run.child_started(*initiated_event_id, first_run_id, now);
            Ok(())
        })?;
        let policy = match reported {
            Found::Open(()) => ParentClosePolicy::Abandon,
            // The parent closed between the start and the report.
            Found::Closed(parent) => close_policy(&parent, *initiated_event_id)?,
            Found::Unknown => ParentClosePolicy::Abandon,
        };
        let execution = execution.clone();
        self.change_open(namespace, workflow_id, run_id, move |run, now| {
            match policy {
                ParentClosePolicy::Terminate | ParentClosePolicy::RequestCancel => {
                    apply_close_policy(run, policy, execution, now)?;
                }
                ParentClosePolicy::Abandon | ParentClosePolicy::Unspecified => run.begin_child(now),
            }
            Ok(())
        })?;
        Ok(())
    }

    fn signal_external(self: &Arc<Self>, sender: &Sender, initiated: EventId) -> Result<(), Status> {
        use SignalExternalWorkflowExecutionFailedCause as Failed;
        let Some(signal) = self.read(sender, |run| run.signal_to_send(initiated))? else { return Ok(()) };
        let sent = self.reach(sender, signal, |slot, open, signal| {
            if open.run.signal_count >= SIGNALS_MAX {
                return Ok(Err(Failed::SignalCountLimitExceeded));
            }
            match self.change(slot, open, |open, now| Ok((open.run.signal(signal, now)?, Close::Write))) {
                Ok(()) => Ok(Ok(())),
                Err(refusal @ Refusal::Busy(_)) => Err(refusal.into()),
                Err(_) => Ok(Err(Failed::ExternalWorkflowExecutionNotFound)),
            }
        })?;
        let result = match sent {
            Found::Open(result) => result,
            Found::Closed(_) | Found::Unknown => Err(Failed::ExternalWorkflowExecutionNotFound),
        };
        self.report_to(sender, move |run, now| run.signal_answered(initiated, result, now))
    }

    fn cancel_external(self: &Arc<Self>, sender: &Sender, initiated: EventId) -> Result<(), Status> {
        use CancelExternalWorkflowExecutionFailedCause as Failed;
        let Some(cancel) = self.read(sender, |run| run.cancel_to_send(initiated))? else { return Ok(()) };
        let sent = self.reach(sender, cancel, |slot, open, request| {
            let requested = self.change(slot, open, |open, now| {
                open.run.request_cancel(request, now);
                Ok::<_, Refusal>(((), Close::Write))
            });
            // A run that was terminated for the length of its history has ended, as the sender wanted.
            drop(requested);
            Ok(())
        })?;
        let result = match sent {
            // A target that has closed has ended, as the sender wanted.
            Found::Open(()) | Found::Closed(_) => Ok(()),
            Found::Unknown => Err(Failed::ExternalWorkflowExecutionNotFound),
        };
        self.report_to(sender, move |run, now| run.cancel_answered(initiated, result, now))
    }

    /// Calls `act` with the target of a message, if it is open. The sender itself counts as unknown, and so does a run that
    /// is no child of it if the message is for its child.
    fn reach<M: Send, R>(
        self: &Arc<Self>,
        sender: &Sender,
        external: External<M>,
        act: impl FnOnce(&Arc<Slot>, &mut OpenRun, M) -> Result<R, Status> + Send,
    ) -> Result<Found<R>, Status> {
        let External { target, child_only, message } = external;
        let source = sender.execution();
        if target.workflow_id == source.workflow_id {
            return Ok(Found::Unknown);
        }
        let reached = self.with_open(&sender.namespace, &target.workflow_id, &target.run_id, |slot, open| {
            if child_only && !open.run.is_child_of(&source) {
                return Ok(None);
            }
            act(slot, open, message).map(Some)
        })?;
        Ok(match reached {
            Found::Open(Some(result)) => Found::Open(result),
            Found::Open(None) | Found::Unknown => Found::Unknown,
            Found::Closed(closed) => Found::Closed(closed),
        })
    }

    fn report_close(self: &Arc<Self>, child: &Sender, report: &ChildReport) -> Result<(), Status> {
        let report = report.clone();
        let parent = Sender {
            workflow_id: report.parent_workflow_id.as_str().into(),
            run_id: report.parent_run_id.as_str().into(),
            ..child.clone()
        };
        self.report_to(&parent, move |run, now| run.child_closed(report, now))
    }

    fn leave_child(self: &Arc<Self>, parent: &Sender, child: &LeftChild) -> Result<(), Status> {
        let policy = ParentClosePolicy::try_from(child.parent_close_policy).unwrap_or_default();
        let parent_execution = parent.execution();
        self.change_open(&parent.namespace, &child.workflow_id, "", |run, now| {
            if *run.info.first_run_id == *child.first_run_id && run.is_child_of(&parent_execution) {
                apply_close_policy(run, policy, parent_execution, now)?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// Lets another thread carry out messages, even if this one panics.
struct Served<'a>(&'a Arc<Core>);

impl Drop for Served<'_> {
    fn drop(&mut self) {
        lock(&self.0.runs.intents.waiting).is_served = false;
    }
}

fn outbox_record(namespace: NamespaceKey, run: RunKey, data: Vec<u8>) -> Record {
    Record { kind: RecordKind::Outbox, namespace, name: run.0.to_string().into(), data: data.into() }
}

/// The parent close policy of a child that this event initiated.
fn close_policy(parent: &ClosedRun, initiated: EventId) -> Result<ParentClosePolicy, Status> {
    let event = parent.event(initiated)?;
    Ok(match event.attributes {
        Some(Attributes::StartChildWorkflowExecutionInitiatedEventAttributes(it)) => it.parent_close_policy(),
        _ => ParentClosePolicy::Unspecified,
    })
}

/// Applies the policy of a parent that has closed. A run that has closed stays as it is.
fn apply_close_policy(
    run: &mut Run,
    policy: ParentClosePolicy,
    parent: WorkflowExecution,
    now: Time,
) -> Result<(), Refusal> {
    match policy {
        ParentClosePolicy::Terminate => {
            let reason = "by parent close policy".to_owned();
            run.terminate(StopRequest { reason, identity: HISTORY_SERVICE.to_owned(), ..StopRequest::default() }, now)?;
        }
        ParentClosePolicy::RequestCancel => {
            let source = Some(ExternalSource { execution: parent, initiated_event_id: 0 });
            let identity = HISTORY_SERVICE.to_owned();
            run.request_cancel(StopRequest { identity, source, ..StopRequest::default() }, now);
        }
        ParentClosePolicy::Abandon | ParentClosePolicy::Unspecified => {}
    }
    Ok(())
}
