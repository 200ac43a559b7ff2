//! The start of a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;

use crate::api::common::{self, Header, Link, Memo, Payload, Payloads, Priority, WorkflowType};
use crate::api::enums::{ContinueAsNewInitiator as Initiator, TaskQueueKind};
use crate::api::history::{WorkflowExecutionOptionsUpdatedEventAttributes, WorkflowExecutionStartedEventAttributes};
use crate::api::sdk::UserMetadata;
use crate::api::taskqueue::TaskQueue;
use crate::engine::child::state::{Origin, Parent};
use crate::engine::cron::Cron;
use crate::engine::deadline::Deadline;
use crate::engine::error::Refusal;
use crate::engine::event::{Attributes, EventId, HistoryEvent, Order, event};
use crate::engine::fold::RunIds;
use crate::engine::memo::is_null;
use crate::engine::overlay::Overlay;
use crate::engine::payload::{own, own_metadata};
use crate::engine::retry::RetryPolicy;
use crate::engine::run::Run;
use crate::engine::signal::Signal;
use crate::engine::state::Info;
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::{Time, duration, set_duration, wire_duration};
use crate::engine::workflow_task::state::TaskKind;
use crate::limits::{BLOB_BYTES_MAX, ID_BYTES_MAX, TASK_TIMEOUT_MAX};
use crate::model::NamespaceNames;

/// The default timeout of workflow tasks.
const TASK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// The fields of a start request, shared by all calls that start a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct StartFields {
    pub(crate) workflow_id: String,
    pub(crate) workflow_type: String,
    pub(crate) task_queue: String,
    pub(crate) input: Option<Payloads>,
    pub(crate) header: Option<Header>,
    pub(crate) memo: Option<Memo>,
    pub(crate) execution_timeout: Option<prost_types::Duration>,
    pub(crate) run_timeout: Option<prost_types::Duration>,
    pub(crate) task_timeout: Option<prost_types::Duration>,
    pub(crate) start_delay: Option<prost_types::Duration>,
    pub(crate) identity: String,
    pub(crate) request_id: String,
    pub(crate) user_metadata: Option<UserMetadata>,
    pub(crate) priority: Option<Priority>,
    pub(crate) links: Vec<Link>,
    pub(crate) continued_failure: Option<crate::api::failure::Failure>,
    pub(crate) last_completion_result: Option<Payloads>,
    pub(crate) retry_policy: Option<common::RetryPolicy>,
    /// Where the run comes from, if it is a child.
    pub(crate) origin: Option<Origin>,
    /// Empty if the workflow has no schedule.
    pub(crate) cron_schedule: String,
}

/// A validated start request, with defaults for unset fields.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    fields: StartFields,
    memo: BTreeMap<String, Payload>,
    execution_timeout: Duration,
    run_timeout: Duration,
    task_timeout: Duration,
    start_delay: Duration,
    retry_policy: Option<RetryPolicy>,
    cron: Option<Cron>,
}

impl Start {
    /// Validates a request that comes `now`.
    pub(crate) fn check(fields: StartFields, now: Time) -> Result<Self, Refusal> {
        check_name("WorkflowId", &fields.workflow_id)?;
        check_name("WorkflowType", &fields.workflow_type)?;
        check_name("TaskQueue", &fields.task_queue)?;
        if fields.request_id.len() > ID_BYTES_MAX {
            return Err(Refusal::invalid("RequestId length exceeds limit."));
        }
        let read = |name: &str, wire: &Option<prost_types::Duration>| {
            duration(wire.as_ref()).map_err(|error| Refusal::invalid(format!("Invalid {name}: {error}")))
        };
        let execution_timeout = read("WorkflowExecutionTimeoutSeconds", &fields.execution_timeout)?;
        let run_timeout = read("WorkflowRunTimeoutSeconds", &fields.run_timeout)?;
        let task_timeout = read("WorkflowTaskTimeoutSeconds", &fields.task_timeout)?;
        let start_delay = read("WorkflowStartDelay", &fields.start_delay)?;
        if fields.input.as_ref().is_some_and(|input| input.encoded_len() > BLOB_BYTES_MAX) {
            return Err(Refusal::invalid("Blob data size exceeds limit."));
        }
        let memo: BTreeMap<_, _> = fields
            .memo
            .iter()
            .flat_map(|memo| &memo.fields)
            .filter(|(_, value)| !is_null(value))
            .map(|(key, value)| (key.clone(), own(value)))
            .collect();
        if fields.memo.as_ref().is_some_and(|memo| memo.encoded_len() > BLOB_BYTES_MAX) {
            return Err(Refusal::invalid("Memo size exceeds limit."));
        }
        let run_timeout = bound_run_timeout(run_timeout, execution_timeout);
        let task_timeout = bound_task_timeout(task_timeout, run_timeout);
        let retry_policy = fields.retry_policy.as_ref().map(|policy| RetryPolicy::read(Some(policy)));
        let retry_policy = retry_policy.transpose().map_err(Refusal::invalid)?;
        let cron = read_cron(&fields.cron_schedule, now).map_err(Refusal::invalid)?;
        if cron.is_some() && !start_delay.is_zero() {
            return Err(Refusal::invalid("CronSchedule and WorkflowStartDelay may not be used together."));
        }
        Ok(Self { fields, memo, execution_timeout, run_timeout, task_timeout, start_delay, retry_policy, cron })
    }

    pub(crate) fn workflow_id(&self) -> &str {
        &self.fields.workflow_id
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.fields.request_id
    }

    pub(crate) fn is_delayed(&self) -> bool {
        !self.start_delay.is_zero() || self.cron.is_some()
    }
}

/// Reads the schedule of a workflow that is started `now`; `None` if it has none.
///
/// # Errors
///
/// Returns a sentence that says what is wrong.
pub(super) fn read_cron(schedule: &str, now: Time) -> Result<Option<Cron>, String> {
    if schedule.is_empty() {
        return Ok(None);
    }
    let cron = Cron::parse(schedule).map_err(|error| format!("invalid CronSchedule: {error}"))?;
    match cron.backoff(now, now) {
        Some(_) => Ok(Some(cron)),
        None => Err("invalid CronSchedule, no time can be found to satisfy the schedule".to_owned()),
    }
}

/// The origin of a run that is a child.
fn origin(started: &WorkflowExecutionStartedEventAttributes) -> Option<Origin> {
    let execution = started.parent_workflow_execution.clone()?;
    let namespace = NamespaceNames {
        name: started.parent_workflow_namespace.as_str().into(),
        id: started.parent_workflow_namespace_id.as_str().into(),
    };
    let root = started.root_workflow_execution.clone().unwrap_or_else(|| execution.clone());
    let parent = Parent { namespace, execution, initiated_event_id: started.parent_initiated_event_id };
    Some(Origin { parent, root })
}

/// Checks that a name is set and not too long.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::invalid(format!("{what} is not set on request.")));
    }
    if name.len() > ID_BYTES_MAX {
        return Err(Refusal::invalid(format!("{what} length exceeds limit.")));
    }
    Ok(())
}

/// The timeout of a run, which is not longer than that of the execution as a whole. Zero means no timeout.
pub(super) fn bound_run_timeout(run: Duration, execution: Duration) -> Duration {
    match (run, execution) {
        (run, execution) if execution.is_zero() => run,
        (run, execution) if run.is_zero() => execution,
        (run, execution) => run.min(execution),
    }
}

/// The timeout of workflow tasks: the default if it is zero, and not longer than that of the run.
pub(super) fn bound_task_timeout(task: Duration, run: Duration) -> Duration {
    let task = if task.is_zero() { TASK_TIMEOUT_DEFAULT } else { task };
    let task = task.min(TASK_TIMEOUT_MAX);
    if run.is_zero() { task } else { task.min(run) }
}

/// The time after a timeout, if there is one.
fn expiration(timeout: Duration, from: Time) -> Option<Time> {
    (!timeout.is_zero()).then(|| from + timeout)
}

/// The worker that receives the first workflow task in the response to the start.
#[derive(Clone, Debug)]
pub(crate) struct Eager {
    pub(crate) request_id: Arc<str>,
}

/// Data that a start adds to the open run it finds.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    /// Whether the request id of the start is added to the run's ids.
    pub(crate) request_id: bool,
    pub(crate) links: Vec<Link>,
}

/// The rules of starts.
pub(super) struct StartRules;

impl Subject for StartRules {
    fn order(event: &Attributes) -> Option<Order> {
        match event {
            Attributes::WorkflowExecutionStartedEventAttributes(_) => Some(Order::Now),
            Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(_) => Some(Order::Later),
            _ => None,
        }
    }

    fn apply(run: &mut Run, _: EventId, _: Time, event: &Attributes) -> Option<Applied> {
        match event {
            // `Run::begin` has consumed this event.
            Attributes::WorkflowExecutionStartedEventAttributes(_) => Some(Err("a run starts once")),
            Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(updated) => {
                run.apply_options_updated(updated);
                Some(Ok(()))
            }
            _ => None,
        }
    }

    fn due(run: &mut Run, deadline: Deadline, now: Time) -> Result<(), Deadline> {
        match deadline {
            Deadline::FirstTask => {
                run.state.first_task_due = None;
                run.ensure_workflow_task(now);
                Ok(())
            }
            other => Err(other),
        }
    }

    fn keep(run: &Run, overlay: &mut Overlay) {
        overlay.attached_request_ids = run.state.attached_request_ids.iter().cloned().collect();
    }

    fn restore(run: &mut Run, overlay: &mut Overlay) -> Result<(), String> {
        run.state.attached_request_ids.extend(std::mem::take(&mut overlay.attached_request_ids));
        Ok(())
    }
}

impl Run {
    /// Records a start request that found this run open.
    pub(crate) fn attach(&mut self, attachment: Attachment, start: &Start, now: Time) {
        let attached_request_id = if attachment.request_id { start.request_id().to_owned() } else { String::new() };
        self.append_event(HistoryEvent {
            links: attachment.links,
            // Workers that do not know the event can ignore it.
            worker_may_ignore: true,
            ..event(now, WorkflowExecutionOptionsUpdatedEventAttributes { attached_request_id, ..Default::default() })
        });
    }

    /// Begins a run; the caller ends the transition.
    ///
    /// `signal` is recorded in the same transition. `eager` starts the first workflow task for the caller.
    ///
    /// # Errors
    ///
    /// Rejects an invalid signal, and a start whose events exceed the limit on the length of a history.
    pub(crate) fn start(
        namespace: NamespaceNames,
        start: Start,
        run_id: Arc<str>,
        signal: Option<Signal>,
        eager: Option<&Eager>,
        now: Time,
    ) -> Result<Self, Refusal> {
        let Start { fields, memo, execution_timeout, run_timeout, task_timeout, start_delay, retry_policy, cron } =
            start;
        let start_delay = cron.as_ref().and_then(|cron| cron.backoff(now, now)).unwrap_or(start_delay);
        let execution_expiration = expiration(execution_timeout, now);
        let ids = RunIds {
            namespace,
            workflow_id: fields.workflow_id.as_str().into(),
            run_id: run_id.clone(),
            create_request_id: fields.request_id.as_str().into(),
        };
        let identity = fields.identity.clone();
        let is_child = fields.origin.is_some();
        let (parent, root) = fields.origin.map(|Origin { parent, root }| (parent, root)).unzip();
        let parent_namespace = parent.as_ref().map(|parent| parent.namespace.clone());
        let started = WorkflowExecutionStartedEventAttributes {
            workflow_type: Some(WorkflowType { name: fields.workflow_type }),
            task_queue: Some(TaskQueue {
                name: fields.task_queue,
                kind: TaskQueueKind::Normal as i32,
                normal_name: String::new(),
            }),
            input: fields.input,
            workflow_execution_timeout: set_duration(execution_timeout),
            // A child has it even if it is zero, as on the Temporal server.
            workflow_run_timeout: if is_child { wire_duration(run_timeout) } else { set_duration(run_timeout) },
            workflow_task_timeout: wire_duration(task_timeout),
            continued_failure: fields.continued_failure,
            last_completion_result: fields.last_completion_result,
            original_execution_run_id: run_id.to_string(),
            identity: fields.identity,
            first_execution_run_id: run_id.to_string(),
            retry_policy: retry_policy.map(|policy| policy.to_wire()),
            initiator: if cron.is_some() { Initiator::CronSchedule as i32 } else { 0 },
            cron_schedule: fields.cron_schedule,
            attempt: 1,
            workflow_execution_expiration_time: execution_expiration.map(Into::into),
            first_workflow_task_backoff: wire_duration(start_delay),
            memo: (!memo.is_empty()).then(|| Memo { fields: memo.into_iter().collect() }),
            header: fields.header,
            workflow_id: fields.workflow_id,
            priority: fields.priority,
            eager_execution_accepted: eager.is_some(),
            parent_workflow_namespace: parent_namespace.as_ref().map_or_else(String::new, |it| it.name.to_string()),
            parent_workflow_namespace_id: parent_namespace.map_or_else(String::new, |it| it.id.to_string()),
            parent_initiated_event_id: parent.as_ref().map_or(0, |parent| parent.initiated_event_id),
            parent_workflow_execution: parent.map(|parent| parent.execution),
            root_workflow_execution: root,
            ..Default::default()
        };
        let first = HistoryEvent {
            user_metadata: fields.user_metadata.map(Box::new),
            links: fields.links,
            ..event(now, Attributes::WorkflowExecutionStartedEventAttributes(Box::new(started)))
        };
        let mut run = Self::begin(&ids, &first).map_err(Refusal::InvalidArgument)?;
        run.history.append(first);
        if let Some(signal) = signal {
            run.record_signal(signal, now)?;
            run.flush_buffer();
        }
        // A child gets its first workflow task when its parent has recorded the start.
        if !is_child && start_delay.is_zero() {
            run.schedule_workflow_task(TaskKind::Normal, now, now);
        }
        if let Some(eager) = eager {
            run.start_inline(eager.request_id.clone(), &identity, now);
        }
        // A run that is too long from the start would be terminated at once.
        run.excess().map_or(Ok(run), |reason| Err(Refusal::invalid(reason)))
    }

    /// Creates a run from its first event, which is not added to the history.
    ///
    /// # Errors
    ///
    /// Returns a description of the invalid field.
    pub(super) fn begin(ids: &RunIds, first: &HistoryEvent) -> Result<Self, String> {
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = &first.attributes else {
            return Err("it does not begin with WorkflowExecutionStarted".to_owned());
        };
        let read = |name: &str, wire: &Option<prost_types::Duration>| {
            duration(wire.as_ref()).map_err(|error| format!("event 1: its {name} is wrong: {error}"))
        };
        let start_time = first.event_time.as_ref().map(Time::from).unwrap_or_default();
        let start_delay = read("start delay", &started.first_workflow_task_backoff)?;
        let execution_timeout = read("execution timeout", &started.workflow_execution_timeout)?;
        let run_timeout = read("run timeout", &started.workflow_run_timeout)?;
        let execution_time = start_time + start_delay;
        // Runs that follow each other have one expiration.
        let execution_expiration = started.workflow_execution_expiration_time.as_ref().map(Time::from);
        let run_expiration = match (expiration(run_timeout, execution_time), execution_expiration) {
            (Some(run), Some(execution)) => Some(run.min(execution)),
            (run, execution) => run.or(execution),
        };
        let name = |text: &str| Arc::<str>::from(text);
        let info = Info {
            namespace: ids.namespace.clone(),
            workflow_id: Arc::clone(&ids.workflow_id),
            run_id: Arc::clone(&ids.run_id),
            first_run_id: name(&started.first_execution_run_id),
            workflow_type: name(started.workflow_type.as_ref().map_or("", |kind| &kind.name)),
            task_queue: name(started.task_queue.as_ref().map_or("", |queue| &queue.name)),
            execution_timeout,
            run_timeout,
            holds_run_timeout: started.workflow_run_timeout.is_some(),
            task_timeout: read("task timeout", &started.workflow_task_timeout)?,
            start_time,
            execution_time,
            run_expiration,
            execution_expiration,
            create_request_id: Arc::clone(&ids.create_request_id),
            user_metadata: first.user_metadata.as_deref().map(own_metadata),
            priority: started.priority.clone(),
            retry_policy: started.retry_policy.as_ref().map(|policy| RetryPolicy::read(Some(policy))).transpose()?,
            cron: Some(&started.cron_schedule).filter(|it| !it.is_empty()).map(|it| Cron::parse(it)).transpose()?,
            attempt: started.attempt,
            origin: origin(started),
        };
        let awaits_parent = info.origin.is_some() && start_delay.is_zero() && started.initiator == 0;
        let memo = started.memo.iter().flat_map(|memo| &memo.fields).map(|(key, value)| (key.clone(), own(value)));
        let mut run = Self::new(info, memo.collect());
        run.set_search_attributes(started.search_attributes.as_ref());
        run.state.awaits_parent = awaits_parent;
        let deadlines = [(run_expiration, Deadline::RunTimeout), (execution_expiration, Deadline::ExecutionTimeout)];
        for (at, deadline) in deadlines {
            if let Some(at) = at {
                run.arm(at, deadline);
            }
        }
        if start_delay > Duration::ZERO {
            run.state.first_task_due = Some(execution_time);
            run.arm(execution_time, Deadline::FirstTask);
        }
        Ok(run)
    }

    fn apply_options_updated(&mut self, updated: &WorkflowExecutionOptionsUpdatedEventAttributes) {
        if !updated.attached_request_id.is_empty() {
            self.state.attached_request_ids.insert(updated.attached_request_id.clone());
            self.touch_overlay();
        }
    }

    /// Ends the start delay, at its deadline or early.
    pub(super) fn end_start_delay(&mut self) {
        if let Some(due) = self.state.first_task_due.take() {
            self.disarm(due, Deadline::FirstTask);
        }
    }
}
