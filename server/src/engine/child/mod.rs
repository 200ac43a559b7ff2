//! Child workflows, as their parent sees them. [`report`] has the messages between the two.

mod report;
pub(crate) mod state;

use std::sync::Arc;

use prost::Message as _;

use crate::api::command::StartChildWorkflowExecutionCommandAttributes;
use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::common::Memo;
use crate::api::enums::{
    CommandType, ParentClosePolicy, TaskQueueKind, WorkflowIdReusePolicy, WorkflowTaskFailedCause as Cause,
};
use crate::api::history::StartChildWorkflowExecutionInitiatedEventAttributes;
use crate::api::taskqueue::TaskQueue;
use crate::api::workflow::PendingChildExecutionInfo;
use crate::api::workflowservice::DescribeWorkflowExecutionResponse;
use crate::engine::child::state::{Child, Started};
use crate::engine::commands::Commands;
use crate::engine::cron::Cron;
use crate::engine::error::Rejected;
use crate::engine::event::{Attributes, EventId, Order};
use crate::engine::intent::Intent;
use crate::engine::retry::RetryPolicy;
use crate::engine::run::Run;
use crate::engine::start::{bound_run_timeout, bound_task_timeout};
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::{Time, duration, wire_duration};
use crate::limits::{BLOB_BYTES_MAX, ID_BYTES_MAX, PENDING_CHILDREN_MAX};

/// The rules of children.
pub(super) struct ChildRules;

impl Subject for ChildRules {
    const COMMANDS: &'static [(CommandType, Cause)] =
        &[(CommandType::StartChildWorkflowExecution, Cause::BadStartChildExecutionAttributes)];

    fn command(
        run: &mut Run,
        command: CommandAttributes,
        commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        match command {
            CommandAttributes::StartChildWorkflowExecutionCommandAttributes(it) => {
                Ok(run.initiate_child(*it, commands))
            }
            other => Err(other),
        }
    }

    fn order(event: &Attributes) -> Option<Order> {
        use Attributes as A;
        match event {
            A::StartChildWorkflowExecutionInitiatedEventAttributes(_) => Some(Order::Now),
            A::StartChildWorkflowExecutionFailedEventAttributes(_) => Some(Order::Later),
            A::ChildWorkflowExecutionStartedEventAttributes(it) => Some(Order::Starting(it.initiated_event_id)),
            _ => closed_child(event).map(Order::Ending),
        }
    }

    fn started_event_id(event: &mut Attributes) -> Option<&mut EventId> {
        use Attributes as A;
        match event {
            A::ChildWorkflowExecutionCompletedEventAttributes(it) => Some(&mut it.started_event_id),
            A::ChildWorkflowExecutionFailedEventAttributes(it) => Some(&mut it.started_event_id),
            A::ChildWorkflowExecutionCanceledEventAttributes(it) => Some(&mut it.started_event_id),
            A::ChildWorkflowExecutionTimedOutEventAttributes(it) => Some(&mut it.started_event_id),
            A::ChildWorkflowExecutionTerminatedEventAttributes(it) => Some(&mut it.started_event_id),
            _ => None,
        }
    }

    fn numbered(run: &mut Run, id: EventId, event: &Attributes) {
        if let Attributes::ChildWorkflowExecutionStartedEventAttributes(it) = event
            && let Some(child) = run.state.children.get_mut(&it.initiated_event_id)
            && let Started::Yes { event_id, .. } = &mut Arc::make_mut(child).started
        {
            *event_id = id;
        }
    }

    fn apply(run: &mut Run, id: EventId, _: Time, event: &Attributes) -> Option<Applied> {
        use Attributes as A;
        match event {
            A::StartChildWorkflowExecutionInitiatedEventAttributes(it) => Some(run.apply_child_initiated(id, it)),
            A::ChildWorkflowExecutionStartedEventAttributes(it) => {
                let run_id = it.workflow_execution.as_ref().map_or("", |execution| &execution.run_id);
                Some(run.apply_child_started(id, it.initiated_event_id, run_id))
            }
            A::StartChildWorkflowExecutionFailedEventAttributes(it) => {
                run.apply_child_closed(it.initiated_event_id);
                Some(Ok(()))
            }
            _ => closed_child(event).map(|initiated| {
                run.apply_child_closed(initiated);
                Ok(())
            }),
        }
    }

    fn describe(run: &Run, described: &mut DescribeWorkflowExecutionResponse) {
        let pending = |(id, child): (&EventId, &Arc<Child>)| PendingChildExecutionInfo {
            workflow_id: child.workflow_id.to_string(),
            run_id: match &child.started {
                Started::Yes { first_run_id, .. } => first_run_id.to_string(),
                Started::NotYet(_) => String::new(),
            },
            workflow_type_name: child.workflow_type.to_string(),
            initiated_id: *id,
            parent_close_policy: child.parent_close_policy as i32,
        };
        described.pending_children = run.state.children.iter().map(pending).collect();
    }
}

impl Run {
    fn initiate_child(
        &mut self,
        attributes: StartChildWorkflowExecutionCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        check_supported(&attributes)?;
        let bad = |detail: String| Rejected::new(Cause::BadStartChildExecutionAttributes, detail);
        let wanted = Wanted::read(self, &attributes).map_err(bad)?;
        if attributes.input.as_ref().is_some_and(|input| input.encoded_len() > BLOB_BYTES_MAX) {
            let detail = "StartChildWorkflowExecutionCommandAttributes. Input exceeds size limit.".to_owned();
            return Err(bad(detail).terminating());
        }
        if attributes.memo.as_ref().map_or(0, Memo::encoded_len) > BLOB_BYTES_MAX {
            let detail = "StartChildWorkflowExecutionCommandAttributes.Memo exceeds size limit.".to_owned();
            return Err(bad(detail).terminating());
        }
        if self.state.children.len() >= PENDING_CHILDREN_MAX {
            return Err(Rejected::new(
                Cause::PendingChildWorkflowsLimitExceeded,
                format!(
                    "the number of pending child workflow executions, {PENDING_CHILDREN_MAX}, has reached the limit"
                ),
            ));
        }
        commands.initiated_children.insert(attributes.workflow_id.clone());
        let event = commands.event(StartChildWorkflowExecutionInitiatedEventAttributes {
            namespace: self.info.namespace.name.to_string(),
            namespace_id: self.info.namespace.id.to_string(),
            workflow_id: attributes.workflow_id,
            workflow_type: attributes.workflow_type,
            task_queue: Some(wanted.task_queue),
            input: attributes.input,
            workflow_execution_timeout: attributes.workflow_execution_timeout,
            workflow_run_timeout: wanted.run_timeout,
            workflow_task_timeout: wanted.task_timeout,
            parent_close_policy: wanted.parent_close_policy as i32,
            control: attributes.control,
            workflow_task_completed_event_id: commands.completed_event_id,
            workflow_id_reuse_policy: wanted.reuse_policy as i32,
            retry_policy: attributes.retry_policy,
            cron_schedule: attributes.cron_schedule,
            header: attributes.header,
            memo: attributes.memo,
            priority: attributes.priority,
            ..Default::default()
        });
        let id = self.append_event(event);
        self.send(Intent::StartChild(id));
        Ok(())
    }

    fn apply_child_initiated(
        &mut self,
        id: EventId,
        initiated: &StartChildWorkflowExecutionInitiatedEventAttributes,
    ) -> Applied {
        let child = Child {
            workflow_id: initiated.workflow_id.as_str().into(),
            workflow_type: initiated.workflow_type.as_ref().map_or("", |kind| &kind.name).into(),
            parent_close_policy: ParentClosePolicy::try_from(initiated.parent_close_policy)
                .map_err(|_| "its parent close policy is unknown")?,
            started: Started::NotYet(Box::new(initiated.clone())),
        };
        self.state.children.insert(id, Arc::new(child));
        self.state.unanswered += 1;
        Ok(())
    }

    fn apply_child_started(&mut self, id: EventId, initiated: EventId, run_id: &str) -> Applied {
        let child = self.state.children.get_mut(&initiated).ok_or("no child was initiated")?;
        let started = Started::Yes { event_id: id, first_run_id: run_id.into() };
        if matches!(std::mem::replace(&mut Arc::make_mut(child).started, started), Started::NotYet(_)) {
            self.state.unanswered -= 1;
        }
        Ok(())
    }

    fn apply_child_closed(&mut self, initiated: EventId) {
        if let Some(child) = self.state.children.remove(&initiated)
            && matches!(child.started, Started::NotYet(_))
        {
            self.state.unanswered -= 1;
        }
    }
}

/// The attributes of an initiated child that differ from those of the command.
struct Wanted {
    task_queue: TaskQueue,
    run_timeout: Option<prost_types::Duration>,
    task_timeout: Option<prost_types::Duration>,
    parent_close_policy: ParentClosePolicy,
    reuse_policy: WorkflowIdReusePolicy,
}

impl Wanted {
    fn read(run: &Run, attributes: &StartChildWorkflowExecutionCommandAttributes) -> Result<Self, String> {
        const COMMAND: &str = "StartChildWorkflowExecutionCommand";
        run.check_namespace(&attributes.namespace)?;
        let namespace = &run.info.namespace.name;
        let id = &attributes.workflow_id;
        let kind = attributes.workflow_type.as_ref().map_or("", |kind| &kind.name);
        if id.is_empty() {
            return Err(format!(
                "Required field WorkflowId is not set on {COMMAND}. WorkflowType={kind} Namespace={namespace}"
            ));
        }
        if kind.is_empty() {
            return Err(format!(
                "Required field WorkflowType is not set on {COMMAND}. WorkflowId={id} Namespace={namespace}"
            ));
        }
        for (what, text) in [("WorkflowId", id.as_str()), ("WorkflowType", kind)] {
            if text.len() > ID_BYTES_MAX {
                return Err(format!(
                    "{what} on {COMMAND} exceeds length limit. WorkflowId={id} Length={} Limit={ID_BYTES_MAX} \
                     WorkflowType={kind} Namespace={namespace}",
                    text.len()
                ));
            }
        }
        let read = |name: &str, wire: &Option<prost_types::Duration>| {
            let problem = |error| {
                format!(
                    "Invalid {name} on {COMMAND}: {error}. WorkflowId={id} WorkflowType={kind} Namespace={namespace}"
                )
            };
            duration(wire.as_ref()).map_err(problem)
        };
        let execution = read("WorkflowExecutionTimeout", &attributes.workflow_execution_timeout)?;
        let run_limit = bound_run_timeout(read("WorkflowRunTimeout", &attributes.workflow_run_timeout)?, execution);
        let task_limit = bound_task_timeout(read("WorkflowTaskTimeout", &attributes.workflow_task_timeout)?, run_limit);
        if let Some(policy) = &attributes.retry_policy {
            RetryPolicy::read(Some(policy)).map_err(|error| {
                format!(
                    "invalid WorkflowRetryPolicy on {COMMAND}: {error}. WorkflowId={id} WorkflowType={kind} \
                     Namespace={namespace}"
                )
            })?;
        }
        let schedule = &attributes.cron_schedule;
        if let Some(Err(error)) = Some(schedule).filter(|it| !it.is_empty()).map(|it| Cron::parse(it)) {
            return Err(format!(
                "invalid CronSchedule on {COMMAND}: {error}. WorkflowId={id} WorkflowType={kind} Namespace={namespace}"
            ));
        }
        let name = attributes.task_queue.as_ref().map_or("", |queue| &queue.name);
        if name.len() > ID_BYTES_MAX {
            return Err(format!(
                "invalid TaskQueue on {COMMAND}: taskQueue length exceeds limit. WorkflowId={id} WorkflowType={kind} \
                 Namespace={namespace}"
            ));
        }
        let name = if name.is_empty() { run.info.task_queue.to_string() } else { name.to_owned() };
        let unknown = |what: &str, number: i32| format!("{what} on {COMMAND} is unknown: {number}. WorkflowId={id}");
        let policy = attributes.parent_close_policy;
        let policy = ParentClosePolicy::try_from(policy).map_err(|_| unknown("ParentClosePolicy", policy))?;
        let reuse = attributes.workflow_id_reuse_policy;
        let reuse = WorkflowIdReusePolicy::try_from(reuse).map_err(|_| unknown("WorkflowIdReusePolicy", reuse))?;
        Ok(Self {
            task_queue: TaskQueue { name, kind: TaskQueueKind::Normal as i32, normal_name: String::new() },
            run_timeout: wire_duration(run_limit),
            task_timeout: wire_duration(task_limit),
            parent_close_policy: match policy {
                ParentClosePolicy::Unspecified => ParentClosePolicy::Terminate,
                set => set,
            },
            reuse_policy: match reuse {
                WorkflowIdReusePolicy::Unspecified => WorkflowIdReusePolicy::AllowDuplicate,
                set => set,
            },
        })
    }
}

/// Rejects options of a child that this engine does not have.
fn check_supported(attributes: &StartChildWorkflowExecutionCommandAttributes) -> Result<(), Rejected> {
    let asked = [
        (
            attributes.search_attributes.as_ref().is_some_and(|attributes| !attributes.indexed_fields.is_empty()),
            "search_attributes",
        ),
        (attributes.versioning_override.is_some(), "versioning_override"),
    ];
    match asked.iter().find(|(asked, _)| *asked) {
        Some((_, name)) => {
            Err(Rejected::new(Cause::FeatureDisabled, format!("{name} of a child is not supported by this server")))
        }
        None => Ok(()),
    }
}

/// Returns the event that initiated the child that `event` ends.
fn closed_child(event: &Attributes) -> Option<EventId> {
    use Attributes as A;
    match event {
        A::ChildWorkflowExecutionCompletedEventAttributes(it) => Some(it.initiated_event_id),
        A::ChildWorkflowExecutionFailedEventAttributes(it) => Some(it.initiated_event_id),
        A::ChildWorkflowExecutionCanceledEventAttributes(it) => Some(it.initiated_event_id),
        A::ChildWorkflowExecutionTimedOutEventAttributes(it) => Some(it.initiated_event_id),
        A::ChildWorkflowExecutionTerminatedEventAttributes(it) => Some(it.initiated_event_id),
        _ => None,
    }
}
