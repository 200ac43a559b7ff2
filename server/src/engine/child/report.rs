//! Reports between parents and children. Each is recognized when it is repeated, as it may be after a crash.

use crate::api::common::{WorkflowExecution, WorkflowType};
use crate::api::enums::{ParentClosePolicy, StartChildWorkflowExecutionFailedCause, WorkflowIdReusePolicy};
use crate::api::history::{
    ChildWorkflowExecutionCanceledEventAttributes, ChildWorkflowExecutionCompletedEventAttributes,
    ChildWorkflowExecutionFailedEventAttributes, ChildWorkflowExecutionStartedEventAttributes,
    ChildWorkflowExecutionTerminatedEventAttributes, ChildWorkflowExecutionTimedOutEventAttributes,
    StartChildWorkflowExecutionFailedEventAttributes,
};
use crate::engine::child::state::{Origin, Parent, Started};
use crate::engine::event::{Attributes, EventId, event};
use crate::engine::intent::{ChildReport, Intent, LeftChild};
use crate::engine::run::Run;
use crate::engine::start::StartFields;
use crate::engine::time::Time;
use crate::model::NamespaceNames;

/// The start of a child, to be carried out.
#[derive(Debug)]
pub(crate) struct ChildStart {
    pub(crate) fields: StartFields,
    pub(crate) reuse_policy: WorkflowIdReusePolicy,
}

impl Run {
    /// Returns the start of a child that has not started; `None` if the child or this run has ended.
    pub(crate) fn child_start(&self, initiated_event_id: EventId) -> Option<ChildStart> {
        let child = self.state.children.get(&initiated_event_id)?;
        let Started::NotYet(initiated) = &child.started else { return None };
        let initiated = initiated.as_ref().clone();
        let parent = Parent { namespace: self.info.namespace.clone(), execution: self.execution(), initiated_event_id };
        let root = self.info.origin.as_ref().map_or_else(|| self.execution(), |origin| origin.root.clone());
        Some(ChildStart {
            reuse_policy: initiated.workflow_id_reuse_policy(),
            fields: StartFields {
                // A repeated start finds the child by this id.
                request_id: format!("{}:{initiated_event_id}", self.info.run_id),
                workflow_id: initiated.workflow_id,
                workflow_type: initiated.workflow_type.map(|kind| kind.name).unwrap_or_default(),
                task_queue: initiated.task_queue.map(|queue| queue.name).unwrap_or_default(),
                input: initiated.input,
                header: initiated.header,
                memo: initiated.memo,
                execution_timeout: initiated.workflow_execution_timeout,
                run_timeout: initiated.workflow_run_timeout,
                task_timeout: initiated.workflow_task_timeout,
                retry_policy: initiated.retry_policy,
                cron_schedule: initiated.cron_schedule,
                priority: initiated.priority.or_else(|| self.info.priority.clone()),
                origin: Some(Origin { parent, root }),
                ..StartFields::default()
            },
        })
    }

    /// Records that a child has started. A repeat changes nothing.
    pub(crate) fn child_started(&mut self, initiated_event_id: EventId, first_run_id: &str, now: Time) {
        if self.record_child_started(initiated_event_id, first_run_id, now) {
            self.ensure_workflow_task(now);
        }
    }

    fn record_child_started(&mut self, initiated_event_id: EventId, first_run_id: &str, now: Time) -> bool {
        let Some(child) = self.state.children.get(&initiated_event_id) else { return false };
        let Started::NotYet(initiated) = &child.started else { return false };
        let started = ChildWorkflowExecutionStartedEventAttributes {
            namespace: initiated.namespace.clone(),
            namespace_id: initiated.namespace_id.clone(),
            initiated_event_id,
            workflow_execution: Some(WorkflowExecution {
                workflow_id: initiated.workflow_id.clone(),
                run_id: first_run_id.to_owned(),
            }),
            workflow_type: initiated.workflow_type.clone(),
            header: initiated.header.clone(),
        };
        self.append(now, started);
        true
    }

    /// Records that a child cannot start. A repeat changes nothing.
    pub(crate) fn child_start_failed(
        &mut self,
        initiated_event_id: EventId,
        cause: StartChildWorkflowExecutionFailedCause,
        now: Time,
    ) {
        let Some(child) = self.state.children.get(&initiated_event_id) else { return };
        let Started::NotYet(initiated) = &child.started else { return };
        let failed = StartChildWorkflowExecutionFailedEventAttributes {
            namespace: initiated.namespace.clone(),
            namespace_id: initiated.namespace_id.clone(),
            workflow_id: initiated.workflow_id.clone(),
            workflow_type: initiated.workflow_type.clone(),
            cause: cause as i32,
            control: initiated.control.clone(),
            initiated_event_id,
            ..Default::default()
        };
        self.append(now, failed);
        self.ensure_workflow_task(now);
    }

    /// Records the end of a child. A report about a child that this run does not have changes nothing.
    pub(crate) fn child_closed(&mut self, report: ChildReport, now: Time) {
        let ChildReport { initiated_event_id, first_run_id, event, .. } = report;
        self.record_child_started(initiated_event_id, &first_run_id, now);
        let Some(child) = self.state.children.get(&initiated_event_id) else { return };
        let Started::Yes { event_id, first_run_id: known } = &child.started else { return };
        if **known != *first_run_id {
            return;
        }
        let started = *event_id;
        let Some(mut event) = event else { return };
        event.event_time = Some(now.into());
        if let Some(started_event_id) = Self::started_event_id(&mut event) {
            *started_event_id = started;
        }
        self.append_event(event);
        self.ensure_workflow_task(now);
    }

    /// Schedules the first workflow task of a child whose start its parent has recorded. A repeat changes nothing.
    pub(crate) fn begin_child(&mut self, now: Time) {
        if self.state.awaits_parent {
            self.ensure_workflow_task(now);
        }
    }

    /// Sends the messages of a run that has closed, to its parent and to its children by their parent close policies, in
    /// place of those that it asked for and that have not left.
    pub(in crate::engine) fn leave_children(&mut self) {
        let report = self.state.closing.take().and_then(|closing| self.report_of(*closing));
        let left = std::mem::take(&mut self.state.children).into_values().filter_map(|child| {
            let abandoned = child.parent_close_policy == ParentClosePolicy::Abandon;
            match &child.started {
                // A child that has not started is not started any more.
                Started::NotYet(_) => None,
                Started::Yes { .. } if abandoned => None,
                Started::Yes { first_run_id, .. } => Some(Intent::Leave(Box::new(LeftChild {
                    workflow_id: child.workflow_id.to_string(),
                    first_run_id: first_run_id.to_string(),
                    parent_close_policy: child.parent_close_policy as i32,
                }))),
            }
        });
        self.state.intents = report.into_iter().chain(left).collect();
        self.state.signals_sent.clear();
        self.state.cancels_sent.clear();
        self.state.unanswered = 0;
    }

    /// The report of this run's end to its parent. A run with a successor has not ended for its parent.
    fn report_of(&self, closing: Attributes) -> Option<Intent> {
        use Attributes as A;
        let Parent { namespace, execution: parent, initiated_event_id } = &self.info.origin.as_ref()?.parent;
        let NamespaceNames { name, id } = namespace;
        let (namespace, namespace_id) = (name.to_string(), id.to_string());
        let workflow_execution = Some(self.execution());
        let workflow_type = Some(WorkflowType { name: self.info.workflow_type.to_string() });
        let initiated_event_id = *initiated_event_id;
        // The number of the event that started the child is the parent's to set.
        macro_rules! closed {
            ($Event:ident { $($own:tt)* }) => {
                $Event {
                    namespace,
                    namespace_id,
                    workflow_execution,
                    workflow_type,
                    initiated_event_id,
                    started_event_id: 0,
                    $($own)*
                }
                .into()
            };
        }
        let attributes: A = match closing {
            A::WorkflowExecutionCompletedEventAttributes(it) if it.new_execution_run_id.is_empty() => {
                closed!(ChildWorkflowExecutionCompletedEventAttributes { result: it.result })
            }
            A::WorkflowExecutionFailedEventAttributes(it) if it.new_execution_run_id.is_empty() => {
                closed!(ChildWorkflowExecutionFailedEventAttributes {
                    failure: it.failure,
                    retry_state: it.retry_state
                })
            }
            A::WorkflowExecutionCanceledEventAttributes(it) => {
                closed!(ChildWorkflowExecutionCanceledEventAttributes { details: it.details })
            }
            A::WorkflowExecutionTimedOutEventAttributes(it) if it.new_execution_run_id.is_empty() => {
                closed!(ChildWorkflowExecutionTimedOutEventAttributes { retry_state: it.retry_state })
            }
            A::WorkflowExecutionTerminatedEventAttributes(_) => {
                closed!(ChildWorkflowExecutionTerminatedEventAttributes {})
            }
            _ => return None,
        };
        Some(Intent::ReportClose(Box::new(ChildReport {
            parent_workflow_id: parent.workflow_id.clone(),
            parent_run_id: parent.run_id.clone(),
            initiated_event_id,
            first_run_id: self.info.first_run_id.to_string(),
            event: Some(event(Time::default(), attributes)),
        })))
    }

    /// Whether this run is a child of that workflow's run.
    pub(crate) fn is_child_of(&self, parent: &WorkflowExecution) -> bool {
        self.info.origin.as_ref().is_some_and(|origin| origin.parent.execution == *parent)
    }
}
