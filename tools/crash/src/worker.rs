//! A worker that uses the protocol directly: it derives the next step of a script from the whole history.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use everloop_proto::temporal::api::command::v1::{self as command, Command, command::Attributes as CommandAttributes};
use everloop_proto::temporal::api::common::v1::{ActivityType, Payloads, RetryPolicy};
use everloop_proto::temporal::api::enums::v1::QueryResultType;
use everloop_proto::temporal::api::failure::v1::{ApplicationFailureInfo, Failure, failure::FailureInfo};
use everloop_proto::temporal::api::history::v1::{HistoryEvent, history_event::Attributes};
use everloop_proto::temporal::api::protocol::v1::{Message, message::SequencingId};
use everloop_proto::temporal::api::query::v1::WorkflowQueryResult;
use everloop_proto::temporal::api::update::v1::{self as update, outcome::Value};
use everloop_proto::temporal::api::workflowservice::v1 as wire;
use prost::{Message as _, Name};
use prost_types::Any;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tonic::Status;

use crate::calls::{NAMESPACE, REJECTED_PREFIX, Service, TASK, duration, execution, from_json, json, queue, within};
use crate::entry::{Answer, Entry, Journal, Kind, Operation};
use crate::script::{Script, Step};

pub(crate) type WorkflowTask = wire::PollWorkflowTaskQueueResponse;
type ActivityTask = wire::PollActivityTaskQueueResponse;

/// Number of pollers for each kind of task.
const POLLERS: usize = 3;
const POLL: Duration = Duration::from_secs(20);
const CALL: Duration = Duration::from_secs(10);

/// The activity whose attempts are limited.
const BOUNDED: &str = "bounded";
const WORK: &str = "work";

/// The delay before an attempt after a failed one.
const RETRY: Duration = Duration::from_millis(5);

/// A running worker.
pub(crate) struct Worker {
    stops: Arc<AtomicBool>,
    pollers: JoinSet<()>,
}

#[derive(Clone)]
struct Poller {
    service: Service,
    journal: Arc<dyn Journal>,
    prefix: String,
    next_number: Arc<AtomicU32>,
    stops: Arc<AtomicBool>,
}

impl Worker {
    /// Starts the worker with a task that it already has, if any.
    pub(crate) fn start(
        service: Service,
        journal: Arc<dyn Journal>,
        prefix: &str,
        first: Option<WorkflowTask>,
    ) -> Self {
        let stops = Arc::new(AtomicBool::new(false));
        let prefix = format!("{prefix}-w");
        let poller = Poller { service, journal, prefix, next_number: Arc::default(), stops: Arc::clone(&stops) };
        let mut pollers = JoinSet::new();
        let mut first = first;
        for _ in 0..POLLERS {
            pollers.spawn(poller.clone().workflows(first.take()));
            pollers.spawn(poller.clone().activities());
        }
        Self { stops, pollers }
    }

    /// Stops polling. Tasks in progress are finished, unless they wait for an event that may never happen.
    pub(crate) async fn stop(mut self) {
        self.stops.store(true, Ordering::Relaxed);
        let ended = async { while self.pollers.join_next().await.is_some() {} };
        // Most pollers wait for tasks.
        let _ = tokio::time::timeout(Duration::from_millis(20), ended).await;
        self.pollers.shutdown().await;
    }
}

/// Waits up to that long for a workflow task.
pub(crate) async fn poll(service: &mut Service, limit: Duration) -> Result<Option<WorkflowTask>, Status> {
    let request = wire::PollWorkflowTaskQueueRequest {
        namespace: NAMESPACE.to_owned(),
        task_queue: queue(),
        identity: "worker".to_owned(),
        ..Default::default()
    };
    let task = service.poll_workflow_task_queue(within(limit, request)).await?.into_inner();
    Ok(Some(task).filter(|task| !task.task_token.is_empty()))
}

impl Poller {
    async fn workflows(mut self, first: Option<WorkflowTask>) {
        let mut next = first;
        while !self.stops.load(Ordering::Relaxed) {
            let task = match next.take() {
                Some(task) => task,
                None => match poll(&mut self.service, POLL).await {
                    Ok(Some(task)) => task,
                    Ok(None) => continue,
                    Err(_) => return,
                },
            };
            // The engine offers tasks that are not completed in time to another worker.
            let _ = self.workflow_task(task).await;
        }
    }

    async fn workflow_task(&mut self, task: WorkflowTask) -> Result<(), Status> {
        let events = self.whole_history(&task).await?;
        let progress = Progress::of(&events);
        let answer = || json(&progress.signals);
        if task.query.is_some() {
            let request = wire::RespondQueryTaskCompletedRequest {
                namespace: NAMESPACE.to_owned(),
                task_token: task.task_token,
                completed_type: QueryResultType::Answered.into(),
                query_result: answer(),
                ..Default::default()
            };
            self.service.respond_query_task_completed(within(CALL, request)).await?;
            return Ok(());
        }
        let replies: Vec<_> = task.messages.iter().flat_map(replies).collect();
        let mut commands: Vec<_> = replies.iter().map(|message| protocol_message(&message.id)).collect();
        commands.extend(progress.next_commands());
        let answered = || WorkflowQueryResult {
            result_type: QueryResultType::Answered.into(),
            answer: answer(),
            ..Default::default()
        };
        let workflow_id = task.workflow_execution.unwrap_or_default().workflow_id;
        let operation = self.operation(workflow_id, Kind::WorkflowTask);
        // A task that only rejected updates leaves no trace.
        let leaves_trace = replies.is_empty();
        if leaves_trace {
            self.journal.note(Entry::Sent(operation.clone()));
        }
        let request = wire::RespondWorkflowTaskCompletedRequest {
            namespace: NAMESPACE.to_owned(),
            task_token: task.task_token,
            identity: if leaves_trace { operation.id.clone() } else { String::new() },
            query_results: task.queries.into_keys().map(|id| (id, answered())).collect(),
            messages: replies,
            commands,
            ..Default::default()
        };
        self.service.respond_workflow_task_completed(within(CALL, request)).await?;
        if leaves_trace {
            self.acknowledged(operation);
        }
        Ok(())
    }

    async fn activities(mut self) {
        while !self.stops.load(Ordering::Relaxed) {
            let request = wire::PollActivityTaskQueueRequest {
                namespace: NAMESPACE.to_owned(),
                task_queue: queue(),
                identity: "worker".to_owned(),
                ..Default::default()
            };
            let Ok(task) = self.service.poll_activity_task_queue(within(POLL, request)).await else { return };
            let task = task.into_inner();
            if !task.task_token.is_empty() {
                let _ = self.activity_task(task).await;
            }
        }
    }

    async fn activity_task(&mut self, task: ActivityTask) -> Result<(), Status> {
        let workflow_id = task.workflow_execution.unwrap_or_default().workflow_id;
        let (activity_id, attempt) = (task.activity_id, task.attempt);
        let Effort { maximum_attempts, failures } = from_json(task.input.as_ref()).unwrap_or_default();
        self.journal.note(Entry::Executed {
            workflow_id: workflow_id.clone(),
            activity_id: activity_id.clone(),
            attempt,
            maximum_attempts,
        });
        if i64::from(attempt) <= i64::from(failures) {
            let request = wire::RespondActivityTaskFailedRequest {
                namespace: NAMESPACE.to_owned(),
                task_token: task.task_token,
                failure: failure("not yet"),
                ..Default::default()
            };
            self.service.respond_activity_task_failed(within(CALL, request)).await?;
            return Ok(());
        }
        let operation = self.operation(workflow_id, Kind::Activity { activity_id, attempt });
        self.journal.note(Entry::Sent(operation.clone()));
        let request = wire::RespondActivityTaskCompletedRequest {
            namespace: NAMESPACE.to_owned(),
            task_token: task.task_token,
            result: json(&operation.id),
            ..Default::default()
        };
        self.service.respond_activity_task_completed(within(CALL, request)).await?;
        self.acknowledged(operation);
        Ok(())
    }

    async fn whole_history(&mut self, task: &WorkflowTask) -> Result<Vec<HistoryEvent>, Status> {
        let mut events = task.history.clone().unwrap_or_default().events;
        let mut next_page_token = task.next_page_token.clone();
        let workflow_id = task.workflow_execution.as_ref().map_or("", |execution| &execution.workflow_id);
        while !next_page_token.is_empty() {
            let request = wire::GetWorkflowExecutionHistoryRequest {
                namespace: NAMESPACE.to_owned(),
                execution: execution(workflow_id),
                next_page_token,
                ..Default::default()
            };
            let page = self.service.get_workflow_execution_history(within(CALL, request)).await?.into_inner();
            events.extend(page.history.unwrap_or_default().events);
            next_page_token = page.next_page_token;
        }
        Ok(events)
    }

    fn operation(&self, workflow_id: String, kind: Kind) -> Operation {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        Operation { id: format!("{}{number}", self.prefix), workflow_id, kind }
    }

    fn acknowledged(&self, operation: Operation) {
        let Operation { id, workflow_id, .. } = operation;
        self.journal.note(Entry::Answered { workflow_id, id, answer: Answer::Done(String::new()) });
    }
}

/// The state of a workflow, as far as its script needs it.
#[derive(Debug, Default)]
struct Progress {
    script: Script,
    signals: u32,
    is_cancelled: bool,
    timers: Begun<String>,
    activities: Begun<i64>,
}

/// Items that begin, in the order of their commands, and end.
#[derive(Debug)]
struct Begun<Id> {
    begun: Vec<Id>,
    ended: BTreeSet<Id>,
}

impl<Id> Default for Begun<Id> {
    fn default() -> Self {
        Self { begun: Vec::new(), ended: BTreeSet::new() }
    }
}

impl<Id: Ord> Begun<Id> {
    /// Whether `count` items, after the first `before`, have begun and ended.
    fn state(&self, before: usize, count: usize) -> State {
        match self.begun.get(before..before + count) {
            None => State::NotBegun,
            Some(some) if some.iter().all(|id| self.ended.contains(id)) => State::Ended,
            Some(_) => State::UnderWay,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NotBegun,
    UnderWay,
    Ended,
}

impl Progress {
    fn of(events: &[HistoryEvent]) -> Self {
        let mut progress = Self::default();
        for event in events {
            match &event.attributes {
                Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => {
                    progress.script = from_json(started.input.as_ref()).unwrap_or_default();
                }
                Some(Attributes::WorkflowExecutionSignaledEventAttributes(_)) => progress.signals += 1,
                Some(Attributes::WorkflowExecutionCancelRequestedEventAttributes(_)) => progress.is_cancelled = true,
                Some(Attributes::TimerStartedEventAttributes(timer)) => {
                    progress.timers.begun.push(timer.timer_id.clone());
                }
                Some(Attributes::TimerFiredEventAttributes(timer)) => {
                    progress.timers.ended.insert(timer.timer_id.clone());
                }
                Some(Attributes::ActivityTaskScheduledEventAttributes(_)) => {
                    progress.activities.begun.push(event.event_id);
                }
                Some(Attributes::ActivityTaskCompletedEventAttributes(ended)) => {
                    progress.activities.ended.insert(ended.scheduled_event_id);
                }
                Some(Attributes::ActivityTaskFailedEventAttributes(ended)) => {
                    progress.activities.ended.insert(ended.scheduled_event_id);
                }
                Some(Attributes::ActivityTaskTimedOutEventAttributes(ended)) => {
                    progress.activities.ended.insert(ended.scheduled_event_id);
                }
                _ => {}
            }
        }
        progress
    }

    fn next_commands(&self) -> Vec<Command> {
        if self.is_cancelled {
            let attributes = command::CancelWorkflowExecutionCommandAttributes::default();
            return vec![of(attributes)];
        }
        let (mut timers, mut activities) = (0, 0);
        for step in &self.script.steps {
            let (state, commands) = match step {
                Step::Timer { ms } => {
                    timers += 1;
                    (self.timers.state(timers - 1, 1), vec![start_timer(timers, *ms)])
                }
                Step::Work { failures } => {
                    let before = activities;
                    activities += failures.len();
                    let commands = failures.iter().enumerate().map(|(i, failures)| work(before + i + 1, *failures));
                    (self.activities.state(before, failures.len()), commands.collect())
                }
                Step::Bounded { maximum_attempts, failures } => {
                    activities += 1;
                    let effort = Effort { maximum_attempts: *maximum_attempts, failures: *failures };
                    (self.activities.state(activities - 1, 1), vec![schedule(activities, BOUNDED, effort)])
                }
                Step::Signals { total } if self.signals < *total => return Vec::new(),
                Step::Signals { .. } => continue,
            };
            match state {
                State::NotBegun => return commands,
                State::UnderWay => return Vec::new(),
                State::Ended => {}
            }
        }
        vec![if self.script.fails { fail() } else { complete(json(&self.signals)) }]
    }
}

fn start_timer(number: usize, ms: u32) -> Command {
    let attributes = command::StartTimerCommandAttributes {
        timer_id: format!("timer {number}"),
        start_to_fire_timeout: Some(duration(Duration::from_millis(ms.into()))),
    };
    of(attributes)
}

/// The arguments of an activity.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Effort {
    /// Zero means without limit.
    maximum_attempts: u32,
    failures: u32,
}

fn work(number: usize, failures: u32) -> Command {
    schedule(number, WORK, Effort { maximum_attempts: 0, failures })
}

fn schedule(number: usize, kind: &str, effort: Effort) -> Command {
    let retry_policy = RetryPolicy {
        initial_interval: Some(duration(RETRY)),
        backoff_coefficient: 1.0,
        maximum_attempts: i32::try_from(effort.maximum_attempts).unwrap_or(i32::MAX),
        ..Default::default()
    };
    let attributes = command::ScheduleActivityTaskCommandAttributes {
        activity_id: format!("activity {number}"),
        activity_type: Some(ActivityType { name: kind.to_owned() }),
        task_queue: queue(),
        input: json(&effort),
        start_to_close_timeout: Some(duration(TASK)),
        retry_policy: Some(retry_policy),
        ..Default::default()
    };
    of(attributes)
}

fn complete(result: Option<Payloads>) -> Command {
    let attributes = command::CompleteWorkflowExecutionCommandAttributes { result };
    of(attributes)
}

fn fail() -> Command {
    let attributes = command::FailWorkflowExecutionCommandAttributes { failure: failure("as the script says") };
    of(attributes)
}

/// Puts the message with this id at this place among the commands.
fn protocol_message(message_id: &str) -> Command {
    let attributes = command::ProtocolMessageCommandAttributes { message_id: message_id.to_owned() };
    of(attributes)
}

fn of(attributes: impl Into<CommandAttributes>) -> Command {
    let attributes = attributes.into();
    Command { command_type: attributes.command_type().into(), attributes: Some(attributes), ..Default::default() }
}

fn failure(message: &str) -> Option<Failure> {
    let info = ApplicationFailureInfo { r#type: "Scripted".to_owned(), ..Default::default() };
    let failure_info = Some(FailureInfo::ApplicationFailureInfo(info));
    Some(Failure { message: message.to_owned(), failure_info, ..Default::default() })
}

/// Returns the messages for an update: accepted and completed, or rejected.
fn replies(message: &Message) -> Vec<Message> {
    let body = message.body.as_ref().map(|body| body.value.as_slice()).unwrap_or_default();
    let request = update::Request::decode(body).unwrap_or_default();
    let sequencing_event_id = match message.sequencing_id {
        Some(SequencingId::EventId(id)) => id,
        _ => 0,
    };
    let input: String = from_json(request.input.as_ref().and_then(|input| input.args.as_ref())).unwrap_or_default();
    if input.starts_with(REJECTED_PREFIX) {
        let rejection = update::Rejection {
            rejected_request_message_id: message.id.clone(),
            rejected_request_sequencing_event_id: sequencing_event_id,
            rejected_request: Some(request),
            failure: failure("rejected as requested"),
        };
        return vec![reply("reject", message, &rejection)];
    }
    let acceptance = update::Acceptance {
        accepted_request_message_id: message.id.clone(),
        accepted_request_sequencing_event_id: sequencing_event_id,
        accepted_request: Some(request.clone()),
    };
    let value = Value::Success(json(&input).unwrap_or_default());
    let response = update::Response { meta: request.meta, outcome: Some(update::Outcome { value: Some(value) }) };
    vec![reply("accept", message, &acceptance), reply("response", message, &response)]
}

fn reply<B: prost::Message + Name>(kind: &str, to: &Message, body: &B) -> Message {
    let update_id = &to.protocol_instance_id;
    Message {
        id: format!("{update_id}/{kind}"),
        protocol_instance_id: update_id.clone(),
        body: Some(Any { type_url: B::type_url(), value: body.encode_to_vec() }),
        ..Default::default()
    }
}
