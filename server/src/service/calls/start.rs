//! Starts of runs, and the policies for a workflow id that is already in use.

use std::sync::Arc;

use tonic::Status;
use uuid::Uuid;

use crate::api::enums::{WorkflowExecutionStatus, WorkflowIdConflictPolicy, WorkflowIdReusePolicy};
use crate::api::workflowservice::{
    SignalWithStartWorkflowExecutionRequest, SignalWithStartWorkflowExecutionResponse, StartWorkflowExecutionRequest,
    StartWorkflowExecutionResponse,
};
use crate::engine::cancel::StopRequest;
use crate::engine::effects::Close;
use crate::engine::error::Refusal;
use crate::engine::event::HISTORY_SERVICE;
use crate::engine::payload::text_payload;
use crate::engine::run::Run;
use crate::engine::signal::Signal;
use crate::engine::start::{Attachment, Eager, Start, StartFields, check_name};
use crate::engine::time::Time;
use crate::model::RunStatus;
use crate::namespaces::Namespace;
use crate::service::calls::call::Call;
use crate::service::calls::handover::Handed;
use crate::service::calls::known::known;
use crate::service::calls::poll::{TaskResponse, is_versioned, started_task};
use crate::service::core::Core;
use crate::service::runs::closed::ClosedRun;
use crate::service::runs::open::OpenRun;
use crate::service::runs::slot::{Changed, Current, Slot, SlotKey, SlotState};
use crate::store::CommitSeq;

/// The policies for a workflow id that is already in use.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Policies {
    conflict: WorkflowIdConflictPolicy,
    reuse: WorkflowIdReusePolicy,
}

/// The run that a request started or found.
pub(in crate::service) struct StartOutcome {
    pub(in crate::service) run_id: Arc<str>,
    pub(in crate::service) first_run_id: Arc<str>,
    started: bool,
    status: RunStatus,
    task: Option<TaskResponse>,
    /// The handover of that task, until the caller has received it.
    handed: Option<Handed>,
    seq: Option<CommitSeq>,
}

impl Core {
    pub(in crate::service) async fn start_workflow_execution(
        self: &Arc<Self>,
        mut request: StartWorkflowExecutionRequest,
        call: Call,
    ) -> Result<StartWorkflowExecutionResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        namespace.check_takes_new_runs()?;
        check_supported(&request)?;
        let policies = Policies::of_start(&request)?;
        let attachment = attachment(&mut request)?;
        let wants_task = request.request_eager_execution;
        let start = Start::check(fields_of_start(request), self.clock.now())?;
        let eager = (wants_task && !start.is_delayed()).then(|| Eager { request_id: start.request_id().into() });
        self.store.admit()?;
        let outcome = self.start_admitted(&namespace, start, policies, None, eager, attachment)?;
        self.after_change();
        call.handover.add(outcome.handed);
        self.durable(outcome.seq).await?;
        Ok(StartWorkflowExecutionResponse {
            run_id: outcome.run_id.to_string(),
            first_execution_run_id: outcome.first_run_id.to_string(),
            started: outcome.started,
            status: WorkflowExecutionStatus::try_from(outcome.status.number()).unwrap_or_default() as i32,
            eager_workflow_task: outcome.task.map(TaskResponse::response).transpose()?,
            ..Default::default()
        })
    }

    pub(in crate::service) async fn signal_with_start_workflow_execution(
        self: &Arc<Self>,
        request: SignalWithStartWorkflowExecutionRequest,
        _call: Call,
    ) -> Result<SignalWithStartWorkflowExecutionResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        namespace.check_takes_new_runs()?;
        let (start, mut signal) = split(request);
        check_supported(&start)?;
        check_name("SignalName", &signal.name)?;
        crate::service::calls::signal::check_input(signal.input.as_ref())?;
        let policies = Policies::of_signal_with_start(&start)?;
        let start = Start::check(fields_of_start(start), self.clock.now())?;
        signal.request_id = start.request_id().to_owned();
        self.store.admit()?;
        let outcome = self.start_admitted(&namespace, start, policies, Some(signal), None, None)?;
        self.after_change();
        self.durable(outcome.seq).await?;
        Ok(SignalWithStartWorkflowExecutionResponse {
            run_id: outcome.run_id.to_string(),
            first_execution_run_id: outcome.first_run_id.to_string(),
            started: outcome.started,
            ..Default::default()
        })
    }

    /// Starts a run, or decides by the policies about the one that has the workflow id.
    pub(in crate::service) fn start_admitted(
        self: &Arc<Self>,
        namespace: &Arc<Namespace>,
        start: Start,
        policies: Policies,
        signal: Option<Signal>,
        eager: Option<Eager>,
        attachment: Option<Attachment>,
    ) -> Result<StartOutcome, Status> {
        let key = SlotKey { namespace: namespace.key, workflow_id: start.workflow_id().into() };
        loop {
            let slot = self.runs.slots.get_or_make(&key, self);
            let Some(mut state) = slot.lock() else { continue };
            let was_empty = state.current.is_none();
            if was_empty && self.may_be_stored(&key) {
                self.load_into(&slot, &mut state)?;
            }
            let new_run_id = Uuid::now_v7().to_string().into();
            let starter = Starter { core: self, namespace, slot: &slot, policies, new_run_id };
            let outcome = starter.decide(&mut state, start, signal, eager, attachment);
            if was_empty && !matches!(state.current, Some(Current::Open(_))) {
                self.tidy(&slot, state);
            } else {
                // A signal ends a run whose history would become too long.
                self.settle(&slot, &mut state);
            }
            return outcome;
        }
    }
}

/// Handles one start, under the lock of its workflow id.
struct Starter<'a> {
    core: &'a Arc<Core>,
    namespace: &'a Arc<Namespace>,
    slot: &'a Arc<Slot>,
    policies: Policies,
    new_run_id: Arc<str>,
}

impl Starter<'_> {
    fn decide(
        &self,
        state: &mut SlotState,
        start: Start,
        signal: Option<Signal>,
        eager: Option<Eager>,
        attachment: Option<Attachment>,
    ) -> Result<StartOutcome, Status> {
        let outcome = match &mut state.current {
            Some(Current::Open(open)) => self.handle_open(open, &start, signal.as_ref(), attachment)?,
            Some(Current::Closed(closed)) => self.handle_closed(closed, &start, signal.as_ref())?,
            None => None,
        };
        match outcome {
            Some(outcome) => Ok(outcome),
            None => Ok(self.create(state, start, signal, eager)?),
        }
    }

    /// Handles a workflow id with an open run. Returns `None` if that run has to be replaced.
    fn handle_open(
        &self,
        open: &mut OpenRun,
        start: &Start,
        signal: Option<&Signal>,
        attachment: Option<Attachment>,
    ) -> Result<Option<StartOutcome>, Refusal> {
        let same_request = *open.run.info.create_request_id == *start.request_id();
        if same_request && signal.is_none_or(|signal| open.run.signal_request_ids.contains(&signal.request_id)) {
            // The response to the first request was lost, and possibly the task in it.
            let task = self.eager_task_again(open);
            let handed = task.as_ref().and_then(|_| Handed::workflow_task(self.slot, open));
            let outcome = StartOutcome { task, handed, ..self.outcome(open, true) };
            return Ok(Some(outcome));
        }
        if open.run.state.attached_request_ids.contains(start.request_id()) {
            return Ok(Some(self.outcome(open, false)));
        }
        match self.policies.conflict {
            WorkflowIdConflictPolicy::UseExisting => {}
            WorkflowIdConflictPolicy::TerminateExisting => return Ok(None),
            _ => {
                return Err(already_started(
                    "Workflow execution is already running.",
                    "",
                    start,
                    &open.run.info.create_request_id,
                    &open.run.info.run_id,
                    &open.run.info.first_run_id,
                ));
            }
        }
        let close = if signal.is_some() || attachment.is_some() { Close::Write } else { Close::KeepSpeculative };
        self.core.change(self.slot, open, |open, now| {
            if let Some(signal) = signal {
                open.run.signal_with_start(signal.clone(), now)?;
            }
            if let Some(attachment) = attachment {
                open.run.attach(attachment, start, now);
            }
            Ok::<_, Refusal>(((), close))
        })?;
        Ok(Some(self.outcome(open, same_request)))
    }

    /// Handles a workflow id whose last run has closed. Returns `None` if the id may be reused.
    fn handle_closed(
        &self,
        closed: &ClosedRun,
        start: &Start,
        signal: Option<&Signal>,
    ) -> Result<Option<StartOutcome>, Status> {
        let same_request = *closed.row.create_request_id == *start.request_id();
        let seen = same_request
            || closed.attached_request_ids.contains(start.request_id())
            || (signal.is_some() && closed.state()?.signal_request_ids.contains(start.request_id()));
        if seen {
            return Ok(Some(StartOutcome {
                run_id: Arc::clone(&closed.row.run_id),
                first_run_id: Arc::clone(&closed.state()?.info.first_run_id),
                started: same_request,
                status: closed.row.status,
                task: None,
                handed: None,
                seq: closed.seq,
            }));
        }
        let (message, why) = match self.policies.reuse {
            WorkflowIdReusePolicy::RejectDuplicate => {
                ("Workflow execution already finished.", " Workflow Id reuse policy: reject duplicate workflow Id.")
            }
            WorkflowIdReusePolicy::AllowDuplicateFailedOnly if closed.row.status == RunStatus::Completed => (
                "Workflow execution already finished successfully.",
                " Workflow Id reuse policy: allow duplicate workflow Id if last run failed.",
            ),
            _ => return Ok(None),
        };
        let first_run_id = &closed.state()?.info.first_run_id;
        Err(already_started(message, why, start, &closed.row.create_request_id, &closed.row.run_id, first_run_id)
            .into())
    }

    /// Terminates the open run, so that another can begin. The caller ends the transition.
    fn terminate(&self, open: &mut OpenRun, now: Time) -> Result<(), Refusal> {
        let request = StopRequest {
            reason: "TerminateIfRunning WorkflowIdReusePolicy".to_owned(),
            details: Some(text_payload(&format!("terminated by new runID: {}", self.new_run_id))),
            identity: HISTORY_SERVICE.to_owned(),
            ..StopRequest::default()
        };
        open.run.terminate(request, now)
    }

    /// Begins a run. An open run is terminated in the same commit: after a crash, the workflow id has either the old or
    /// the new run.
    fn create(
        &self,
        state: &mut SlotState,
        start: Start,
        signal: Option<Signal>,
        eager: Option<Eager>,
    ) -> Result<StartOutcome, Refusal> {
        let now = self.core.clock.now();
        let run_id = Arc::clone(&self.new_run_id);
        let run = Run::start(self.namespace.names(), start, run_id, signal, eager.as_ref(), now)?;
        let key = self.core.store.new_run();
        let mut open = Box::new(OpenRun::new(run, key, Arc::clone(self.namespace)));
        let (slot, close) = (self.slot, Close::Write);
        let begun = Changed { slot, open: &mut open, close };
        let refusal = match &mut state.current {
            Some(Current::Open(old)) => {
                self.terminate(old, now)?;
                let [ended, refusal] = self.core.commit(now, [Changed { slot, open: old, close }, begun]);
                debug_assert_eq!(ended, None, "only the length of an open run is limited");
                self.core.settle(slot, state);
                refusal
            }
            _ => {
                let [refusal] = self.core.commit(now, [begun]);
                refusal
            }
        };
        debug_assert_eq!(refusal, None, "`Run::start` rejects a start that is too long");
        let task = eager.and_then(|_| started_task(&mut open, false, true));
        let handed = task.as_ref().and_then(|_| Handed::workflow_task(slot, &open));
        let outcome = StartOutcome { task, handed, ..self.outcome(&open, true) };
        state.current = Some(Current::Open(open));
        Ok(outcome)
    }

    /// Returns the first workflow task again, if it was started for the caller of the start and has not ended.
    fn eager_task_again(&self, open: &mut OpenRun) -> Option<TaskResponse> {
        let task = open.run.state.workflow_task.as_ref()?;
        let started = task.started.as_ref()?;
        let is_its_own =
            started.event_id == 3 && task.attempt == 1 && *started.request_id == *open.run.info.create_request_id;
        if !is_its_own {
            return None;
        }
        started_task(open, false, true)
    }

    fn outcome(&self, open: &OpenRun, started: bool) -> StartOutcome {
        StartOutcome {
            run_id: Arc::clone(&open.run.info.run_id),
            first_run_id: Arc::clone(&open.run.info.first_run_id),
            started,
            status: RunStatus::Running,
            task: None,
            handed: None,
            seq: open.seq,
        }
    }
}

impl Policies {
    /// The policies of a child: it never attaches to a run that has the id.
    pub(in crate::service) fn of_child(reuse: WorkflowIdReusePolicy) -> Self {
        match reuse {
            WorkflowIdReusePolicy::TerminateIfRunning => Self {
                conflict: WorkflowIdConflictPolicy::TerminateExisting,
                reuse: WorkflowIdReusePolicy::AllowDuplicate,
            },
            reuse => Self { conflict: WorkflowIdConflictPolicy::Fail, reuse },
        }
    }

    fn of_start(request: &StartWorkflowExecutionRequest) -> Result<Self, Refusal> {
        use WorkflowIdConflictPolicy as Conflict;
        use WorkflowIdReusePolicy as Reuse;
        let conflict = known("workflow_id_conflict_policy", request.workflow_id_conflict_policy)?;
        match (known("workflow_id_reuse_policy", request.workflow_id_reuse_policy)?, conflict) {
            (Reuse::TerminateIfRunning, Conflict::Unspecified) => {
                Ok(Self { conflict: Conflict::TerminateExisting, reuse: Reuse::AllowDuplicate })
            }
            (Reuse::TerminateIfRunning, _) => Err(Refusal::invalid(
                "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING cannot be used together \
                 with a WorkflowIDConflictPolicy.",
            )),
            (Reuse::RejectDuplicate, Conflict::TerminateExisting) => Err(Refusal::invalid(
                "Invalid WorkflowIDReusePolicy: WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE cannot be used together with \
                 WorkflowIdConflictPolicy WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING.",
            )),
            (reuse, conflict) => Ok(Self {
                conflict: if conflict == Conflict::Unspecified { Conflict::Fail } else { conflict },
                reuse: if reuse == Reuse::Unspecified { Reuse::AllowDuplicate } else { reuse },
            }),
        }
    }

    fn of_signal_with_start(request: &StartWorkflowExecutionRequest) -> Result<Self, Refusal> {
        use WorkflowIdConflictPolicy as Conflict;
        match known("workflow_id_conflict_policy", request.workflow_id_conflict_policy)? {
            Conflict::Fail => Err(Refusal::invalid(
                "Invalid WorkflowIDConflictPolicy: WORKFLOW_ID_CONFLICT_POLICY_FAIL is not supported for this \
                 operation.",
            )),
            Conflict::Unspecified => {
                let policies = Self::of_start(request)?;
                let conflict = match policies.conflict {
                    Conflict::Fail => Conflict::UseExisting,
                    conflict => conflict,
                };
                Ok(Self { conflict, ..policies })
            }
            _ => Self::of_start(request),
        }
    }
}

/// Rejects unsupported fields of a start.
fn check_supported(request: &StartWorkflowExecutionRequest) -> Result<(), Refusal> {
    let asks = [
        (
            request.search_attributes.as_ref().is_some_and(|attributes| !attributes.indexed_fields.is_empty()),
            "search_attributes",
        ),
        (!request.completion_callbacks.is_empty(), "completion_callbacks"),
        (request.versioning_override.is_some(), "versioning_override"),
        (request.time_skipping_config.is_some(), "time_skipping_config"),
        (
            request.eager_worker_deployment_options.as_ref().is_some_and(is_versioned),
            "eager_worker_deployment_options.worker_versioning_mode VERSIONED",
        ),
    ];
    match asks.iter().find(|(asked, _)| *asked) {
        Some((_, name)) => Err(Refusal::Unsupported(name)),
        None => Ok(()),
    }
}

/// Reads the data that a start attaches to the open run it finds.
fn attachment(request: &mut StartWorkflowExecutionRequest) -> Result<Option<Attachment>, Refusal> {
    let Some(options) = request.on_conflict_options else { return Ok(None) };
    if options.attach_completion_callbacks {
        if !options.attach_request_id {
            return Err(Refusal::invalid("attaching request ID is required for attaching completion callbacks"));
        }
        return Err(Refusal::Unsupported("on_conflict_options.attach_completion_callbacks"));
    }
    let links = if options.attach_links { request.links.clone() } else { Vec::new() };
    if !options.attach_request_id && links.is_empty() {
        return Ok(None);
    }
    Ok(Some(Attachment { request_id: options.attach_request_id, links }))
}

fn already_started(
    message: &str,
    why: &str,
    start: &Start,
    create_request_id: &str,
    run_id: &Arc<str>,
    first_run_id: &Arc<str>,
) -> Refusal {
    Refusal::AlreadyStarted {
        message: format!("{message} WorkflowId: {}, RunId: {run_id}.{why}", start.workflow_id()),
        start_request_id: create_request_id.to_owned(),
        run_id: Arc::clone(run_id),
        first_run_id: Arc::clone(first_run_id),
    }
}

fn fields_of_start(request: StartWorkflowExecutionRequest) -> StartFields {
    StartFields {
        workflow_id: request.workflow_id,
        workflow_type: request.workflow_type.map(|kind| kind.name).unwrap_or_default(),
        task_queue: request.task_queue.map(|queue| queue.name).unwrap_or_default(),
        input: request.input,
        header: request.header,
        memo: request.memo,
        execution_timeout: request.workflow_execution_timeout,
        run_timeout: request.workflow_run_timeout,
        task_timeout: request.workflow_task_timeout,
        start_delay: request.workflow_start_delay,
        identity: request.identity,
        request_id: if request.request_id.is_empty() { Uuid::new_v4().to_string() } else { request.request_id },
        user_metadata: request.user_metadata,
        priority: request.priority,
        links: request.links,
        continued_failure: request.continued_failure,
        last_completion_result: request.last_completion_result,
        retry_policy: request.retry_policy,
        origin: None,
        cron_schedule: request.cron_schedule,
    }
}

/// Splits a signal-with-start into a start and a signal.
fn split(request: SignalWithStartWorkflowExecutionRequest) -> (StartWorkflowExecutionRequest, Signal) {
    let signal = Signal {
        name: request.signal_name,
        input: request.signal_input,
        header: request.header.clone(),
        identity: request.identity.clone(),
        request_id: request.request_id.clone(),
        links: request.links.clone(),
        sender: None,
    };
    let start = StartWorkflowExecutionRequest {
        namespace: request.namespace,
        workflow_id: request.workflow_id,
        workflow_type: request.workflow_type,
        task_queue: request.task_queue,
        input: request.input,
        workflow_execution_timeout: request.workflow_execution_timeout,
        workflow_run_timeout: request.workflow_run_timeout,
        workflow_task_timeout: request.workflow_task_timeout,
        identity: request.identity,
        request_id: request.request_id,
        workflow_id_reuse_policy: request.workflow_id_reuse_policy,
        workflow_id_conflict_policy: request.workflow_id_conflict_policy,
        retry_policy: request.retry_policy,
        cron_schedule: request.cron_schedule,
        memo: request.memo,
        search_attributes: request.search_attributes,
        header: request.header,
        workflow_start_delay: request.workflow_start_delay,
        user_metadata: request.user_metadata,
        links: request.links,
        versioning_override: request.versioning_override,
        priority: request.priority,
        time_skipping_config: request.time_skipping_config,
        ..Default::default()
    };
    (start, signal)
}
