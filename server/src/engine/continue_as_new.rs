//! The command that ends a run and continues its workflow in a new one.

use std::time::Duration;

use prost::Message as _;

use crate::api::command::ContinueAsNewWorkflowExecutionCommandAttributes;
use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::common::{Memo, WorkflowType};
use crate::api::enums::{
    CommandType, ContinueAsNewInitiator as Initiator, TaskQueueKind, WorkflowTaskFailedCause as Cause,
};
use crate::api::history::WorkflowExecutionContinuedAsNewEventAttributes;
use crate::api::taskqueue::TaskQueue;
use crate::engine::attributes::check_all;
use crate::engine::close::check_nothing_waits;
use crate::engine::commands::Commands;
use crate::engine::error::Rejected;
use crate::engine::memo::is_null;
use crate::engine::retry::RetryPolicy;
use crate::engine::run::Run;
use crate::engine::start::{bound_run_timeout, bound_task_timeout, read_cron};
use crate::engine::subject::Subject;
use crate::engine::time::{duration, wire_duration};
use crate::limits::{BLOB_BYTES_MAX, ID_BYTES_MAX};

/// The rules of continuing as new. The event belongs to the rules for ending runs.
pub(super) struct ContinueAsNewRules;

impl Subject for ContinueAsNewRules {
    const COMMANDS: &'static [(CommandType, Cause)] =
        &[(CommandType::ContinueAsNewWorkflowExecution, Cause::BadContinueAsNewAttributes)];

    fn command(
        run: &mut Run,
        command: CommandAttributes,
        commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        match command {
            CommandAttributes::ContinueAsNewWorkflowExecutionCommandAttributes(it) => {
                Ok(run.continue_as_new(*it, commands))
            }
            other => Err(other),
        }
    }
}

impl Run {
    fn continue_as_new(
        &mut self,
        attributes: ContinueAsNewWorkflowExecutionCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        check_nothing_waits(commands)?;
        check_supported(&attributes)?;
        let bad = |detail: String| Rejected::new(Cause::BadContinueAsNewAttributes, detail);
        let wanted = Wanted::read(self, &attributes).map_err(bad)?;
        if attributes.input.as_ref().is_some_and(|input| input.encoded_len() > BLOB_BYTES_MAX) {
            let detail = "ContinueAsNewWorkflowExecutionCommandAttributes. Input exceeds size limit.";
            return Err(bad(detail.to_owned()).terminating());
        }
        if attributes.memo.as_ref().is_some_and(|memo| memo.encoded_len() > BLOB_BYTES_MAX) {
            let detail = "ContinueAsNewWorkflowExecutionCommandAttributes. Memo exceeds size limit.";
            return Err(bad(detail.to_owned()).terminating());
        }
        let mut search_attributes = attributes.search_attributes.filter(|set| !set.indexed_fields.is_empty());
        search_attributes.as_mut().map_or(Ok(()), check_all)?;
        read_cron(&attributes.cron_schedule, commands.now).map_err(bad)?;
        let run_id = commands.successor_run_id.clone();
        let continued = WorkflowExecutionContinuedAsNewEventAttributes {
            new_execution_run_id: run_id.to_string(),
            workflow_type: Some(wanted.workflow_type),
            task_queue: Some(wanted.task_queue),
            input: attributes.input,
            workflow_run_timeout: wire_duration(wanted.run_timeout),
            workflow_task_timeout: wire_duration(wanted.task_timeout),
            workflow_task_completed_event_id: commands.completed_event_id,
            backoff_start_interval: attributes.backoff_start_interval,
            initiator: attributes.initiator,
            failure: attributes.failure,
            last_completion_result: attributes.last_completion_result,
            header: attributes.header,
            memo: without_nulls(attributes.memo),
            search_attributes,
            inherit_build_id: attributes.inherit_build_id,
            ..Default::default()
        };
        let attempt = self.info.attempt;
        let described = self.continue_with(run_id, wanted.initiator, commands.now, |started| {
            started.workflow_type.clone_from(&continued.workflow_type);
            started.task_queue.clone_from(&continued.task_queue);
            started.input.clone_from(&continued.input);
            started.header.clone_from(&continued.header);
            started.memo.clone_from(&continued.memo);
            started.search_attributes.clone_from(&continued.search_attributes);
            started.workflow_run_timeout = wire_duration(wanted.run_timeout);
            started.workflow_task_timeout = wire_duration(wanted.task_timeout);
            started.first_workflow_task_backoff = continued.backoff_start_interval;
            started.continued_failure.clone_from(&continued.failure);
            started.last_completion_result.clone_from(&continued.last_completion_result);
            started.cron_schedule.clone_from(&attributes.cron_schedule);
            started.retry_policy = wanted.retry_policy.map(|policy| policy.to_wire());
            started.attempt = if wanted.initiator == Initiator::Retry { attempt + 1 } else { 1 };
        });
        described.map_err(|damaged| bad(damaged.to_string()))?;
        let event = commands.event(continued);
        self.append_event(event);
        Ok(())
    }
}

/// Rejects unsupported fields of the command.
fn check_supported(attributes: &ContinueAsNewWorkflowExecutionCommandAttributes) -> Result<(), Rejected> {
    let asks = [(attributes.initial_versioning_behavior != 0, "initial_versioning_behavior")];
    match asks.iter().find(|(asked, _)| *asked) {
        Some((_, name)) => {
            Err(Rejected::new(Cause::FeatureDisabled, format!("{name} is not supported by this server")))
        }
        None => Ok(()),
    }
}

/// The fields of the command, with those of this run for unset ones.
struct Wanted {
    workflow_type: WorkflowType,
    task_queue: TaskQueue,
    run_timeout: Duration,
    task_timeout: Duration,
    retry_policy: Option<RetryPolicy>,
    initiator: Initiator,
}

impl Wanted {
    fn read(run: &Run, attributes: &ContinueAsNewWorkflowExecutionCommandAttributes) -> Result<Self, String> {
        let or_own = |name: Option<&str>, own: &str| name.filter(|name| !name.is_empty()).unwrap_or(own).to_owned();
        let workflow_type = or_own(attributes.workflow_type.as_ref().map(|it| &*it.name), &run.info.workflow_type);
        let task_queue = or_own(attributes.task_queue.as_ref().map(|it| &*it.name), &run.info.task_queue);
        for (what, name) in [("WorkflowType", &workflow_type), ("TaskQueue", &task_queue)] {
            if name.len() > ID_BYTES_MAX {
                return Err(format!("{what} on ContinueAsNewWorkflowExecutionCommand exceeds length limit."));
            }
        }
        let read = |name: &str, wire: &Option<prost_types::Duration>| {
            duration(wire.as_ref()).map_err(|_| {
                format!("Invalid {name} on ContinueAsNewWorkflowExecutionCommand: negative duration. WorkflowType={workflow_type} TaskQueue={task_queue}")
            })
        };
        let or_own = |asked: Duration, own: Duration| if asked.is_zero() { own } else { asked };
        let run_timeout = or_own(read("WorkflowRunTimeout", &attributes.workflow_run_timeout)?, run.info.run_timeout);
        let task_timeout =
            or_own(read("WorkflowTaskTimeout", &attributes.workflow_task_timeout)?, run.info.task_timeout);
        read("BackoffStartInterval", &attributes.backoff_start_interval)?;
        let run_timeout = bound_run_timeout(run_timeout, run.info.execution_timeout);
        let retry_policy = attributes.retry_policy.as_ref().map(|policy| RetryPolicy::read(Some(policy)));
        Ok(Self {
            run_timeout,
            task_timeout: bound_task_timeout(task_timeout, run_timeout),
            retry_policy: retry_policy.transpose()?,
            workflow_type: WorkflowType { name: workflow_type },
            task_queue: TaskQueue { name: task_queue, kind: TaskQueueKind::Normal as i32, normal_name: String::new() },
            initiator: match attributes.initiator() {
                Initiator::Unspecified => Initiator::Workflow,
                initiator => initiator,
            },
        })
    }
}

fn without_nulls(memo: Option<Memo>) -> Option<Memo> {
    let fields = memo?.fields.into_iter().filter(|(_, value)| !is_null(value));
    Some(Memo { fields: fields.collect() }).filter(|memo| !memo.fields.is_empty())
}
