//! A server played by hand: tests read as a story.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use everloop_proto::temporal::api::command::v1::Command;
use everloop_proto::temporal::api::command::v1::command::Attributes as Sent;
use everloop_proto::temporal::api::enums::v1::{EventType, RetryState, WorkflowTaskFailedCause};
use everloop_proto::temporal::api::history::v1::history_event::Attributes as Event;
use everloop_proto::temporal::api::history::v1::{self as history, HistoryEvent};
use everloop_proto::temporal::api::protocol::v1::Message;
use everloop_proto::temporal::api::sdk::v1::WorkflowTaskCompletedMetadata;
use everloop_proto::temporal::api::update::v1 as update;

pub(crate) use super::scripted::{Scripted, work, workflow};
use crate::data::{Failure, Headers, decode, encode};
use crate::executor::command::CommandKind;
use crate::executor::{
    Completion, Definition, EndedAt, LocalEnded, LocalRequest, QueryFailure, Run, RunOptions, Step, Task, TaskFailure,
    Update,
};
use crate::raw;

pub(crate) const RUN_ID: &str = "0190a5b2-0000-7000-8000-000000000001";

pub(super) fn new_run(definition: &Arc<dyn Definition>) -> Run {
    Run::new(definition.clone(), run_options())
}

pub(crate) fn run_options() -> RunOptions {
    RunOptions {
        namespace: "default".into(),
        workflow_id: "story".into(),
        run_id: RUN_ID.into(),
        activity_options: Arc::default(),
        rules_supported: true,
    }
}

/// One workflow with the server's side of it.
pub(crate) struct Story {
    pub(crate) definition: Arc<dyn Definition>,
    pub(crate) history: Vec<HistoryEvent>,
    run: Run,
    /// How many events the run has seen.
    seen: usize,
    time: u64,
    /// Updates that the next task delivers.
    pub(crate) updates: Vec<Update>,
    /// Results of local activities that arrive in the next task.
    local: VecDeque<LocalEnded>,
    /// Requests of the last task to the worker about local activities.
    pub(super) local_requests: Vec<String>,
    /// The messages and warnings of the last task, besides its commands.
    pub(super) warnings: Vec<String>,
    pub(super) messages: Vec<Message>,
    pub(super) rules: Vec<u32>,
}

impl<S: Default + 'static> Scripted<S> {
    pub(crate) fn story(self) -> Story {
        Story::new(self.into_definition())
    }
}

impl Story {
    fn new(definition: Arc<dyn Definition>) -> Self {
        let mut story = Self {
            run: new_run(&definition),
            definition,
            history: Vec::new(),
            seen: 0,
            time: 0,
            updates: Vec::new(),
            local: VecDeque::new(),
            local_requests: Vec::new(),
            warnings: Vec::new(),
            messages: Vec::new(),
            rules: Vec::new(),
        };
        let started = history::WorkflowExecutionStartedEventAttributes {
            workflow_type: Some(raw::WorkflowType { name: "Scripted".into() }),
            task_queue: Some(raw::TaskQueue { name: "queue".into(), ..Default::default() }),
            original_execution_run_id: RUN_ID.into(),
            attempt: 1,
            ..Default::default()
        };
        let started = Event::WorkflowExecutionStartedEventAttributes(started.into());
        story.add(started);
        story
    }

    /// The server keeps no SDK metadata, so that only the base rules hold. Until the run is rebuilt.
    pub(super) fn without_rules(mut self) -> Self {
        self.run = Run::new(self.definition.clone(), RunOptions { rules_supported: false, ..run_options() });
        self
    }

    /// Lets time pass.
    pub(super) fn after(&mut self, seconds: u64) -> &mut Self {
        self.time += seconds;
        self
    }

    pub(crate) fn signal(&mut self, name: &str, n: u32) -> &mut Self {
        let input = Some(raw::Payloads { payloads: vec![encode(&n).unwrap()] });
        self.signal_raw(name, input)
    }

    pub(super) fn signal_raw(&mut self, name: &str, input: Option<raw::Payloads>) -> &mut Self {
        let signal =
            history::WorkflowExecutionSignaledEventAttributes { signal_name: name.into(), input, ..Default::default() };
        self.add(signal)
    }

    pub(super) fn cancel(&mut self) -> &mut Self {
        let cancel = history::WorkflowExecutionCancelRequestedEventAttributes::default();
        let attributes = Event::from(cancel);
        self.add(attributes)
    }

    pub(crate) fn fire(&mut self, timer_id: &str) -> &mut Self {
        let fired = history::TimerFiredEventAttributes { timer_id: timer_id.into(), ..Default::default() };
        self.add(fired)
    }

    pub(super) fn complete(&mut self, activity_id: &str, n: u32) -> &mut Self {
        let (scheduled_event_id, started_event_id) = self.start_activity(activity_id);
        let completed = history::ActivityTaskCompletedEventAttributes {
            result: Some(raw::Payloads { payloads: vec![encode(&n).unwrap()] }),
            scheduled_event_id,
            started_event_id,
            ..Default::default()
        };
        self.add(completed)
    }

    pub(super) fn fail(&mut self, activity_id: &str, message: &str) -> &mut Self {
        let (scheduled_event_id, started_event_id) = self.start_activity(activity_id);
        let failed = history::ActivityTaskFailedEventAttributes {
            failure: Some(Failure::application("Declined", message).into_wire()),
            scheduled_event_id,
            started_event_id,
            retry_state: RetryState::NonRetryableFailure as i32,
            ..Default::default()
        };
        self.add(failed)
    }

    pub(super) fn activity_cancelled(&mut self, activity_id: &str) -> &mut Self {
        let scheduled_event_id = self.scheduled(activity_id);
        let cancelled = history::ActivityTaskCanceledEventAttributes { scheduled_event_id, ..Default::default() };
        self.add(cancelled)
    }

    /// The task is reset: the random source starts anew from another run id.
    pub(super) fn reset_to(&mut self, run_id: &str) -> &mut Self {
        self.start_task();
        let failed = history::WorkflowTaskFailedEventAttributes {
            cause: WorkflowTaskFailedCause::ResetWorkflow as i32,
            new_run_id: run_id.into(),
            ..Default::default()
        };
        self.add(failed)
    }

    /// A worker takes the task and is lost.
    pub(crate) fn lose_task(&mut self) -> &mut Self {
        self.start_task();
        let timed_out = history::WorkflowTaskTimedOutEventAttributes::default();
        self.add(timed_out);
        // The events of the next task begin before the lost one: a new worker would replay.
        self.evict()
    }

    pub(crate) fn update(&mut self, id: &str, name: &str, n: u32) -> &mut Self {
        let request = update::Request {
            meta: Some(update::Meta { update_id: id.into(), ..Default::default() }),
            input: Some(update::Input {
                name: name.into(),
                args: Some(raw::Payloads { payloads: vec![encode(&n).unwrap()] }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut delivered = Update::from_request(request);
        delivered.message_id = format!("{id}/request");
        self.updates.push(delivered);
        self
    }

    /// A task: answers what the workflow asked for, one command a line.
    pub(crate) fn task(&mut self) -> String {
        self.try_task().unwrap_or_else(|failure| panic!("the task failed: {failure}"))
    }

    /// A task that rejects its updates and does nothing else: history forgets it.
    pub(crate) fn forgotten_task(&mut self) -> String {
        let before = self.history.clone();
        let said = self.task();
        self.history = before;
        let is_start = |event: &&HistoryEvent| event.event_type == EventType::WorkflowTaskStarted as i32;
        let last_started = self.history.iter().rev().find(is_start).map_or(0, |event| event.event_id);
        self.run.discard_task(last_started);
        self.seen = last_started as usize;
        said
    }

    /// The history as the worker of the next task gets it.
    pub(crate) fn offered(&mut self) -> Vec<HistoryEvent> {
        let (length, time) = (self.history.len(), self.time);
        self.start_task();
        let offered = self.history.clone();
        self.history.truncate(length);
        self.time = time;
        offered
    }

    pub(super) fn try_task(&mut self) -> Result<String, TaskFailure> {
        self.start_task();
        let events = self.history[self.seen..].to_vec();
        self.seen = self.history.len();
        let updates = std::mem::take(&mut self.updates);
        let mut step = self.run.begin(Task { events, more: false, updates: updates.clone() });
        while let Step::Yielded = step {
            step = self.run.resume();
        }
        self.local_requests.clear();
        while let Step::WaitsForLocal = step {
            self.ask_worker();
            step = match self.local.pop_front() {
                Some(ended) => self.run.local_ended([ended]),
                None => self.run.complete_early(),
            };
        }
        let completion = match step {
            Step::Complete(completion) => completion,
            Step::Failed(failure) => return Err(failure),
            other => panic!("the task was not completed: {other:?}"),
        };
        self.ask_worker();
        Ok(self.record(completion, &updates))
    }

    fn ask_worker(&mut self) {
        let requests = self.run.take_local_requests().into_iter().map(|request| match request {
            LocalRequest::Start(task) => format!("start {} attempt {}", task.seq, task.attempt),
            LocalRequest::Cancel { seq } => format!("cancel {seq}"),
            LocalRequest::Abandon { seq } => format!("abandon {seq}"),
        });
        self.local_requests.extend(requests);
    }

    /// The numbers of the local activities that the worker was asked to start, and whose results it has not sent.
    pub(super) fn running_local(&self) -> Vec<u32> {
        let started =
            self.local_requests.iter().filter_map(|request| request.strip_prefix("start ")?.split(' ').next());
        let started = started.map(|seq| seq.parse().expect("it is a number"));
        started.filter(|seq| !self.local.iter().any(|ended| ended.seq == *seq)).collect()
    }

    /// A local activity returns a number in the next task, a second after the worker started it.
    pub(super) fn returns(&mut self, seq: u32, n: u32) -> &mut Self {
        self.returns_after(seq, n, Duration::from_secs(1))
    }

    pub(super) fn returns_after(&mut self, seq: u32, n: u32, elapsed: Duration) -> &mut Self {
        self.ends(seq, Ok(Some(encode(&n).unwrap())), None, elapsed)
    }

    /// A local activity fails in the next task.
    pub(super) fn fails(&mut self, seq: u32, failure: Failure) -> &mut Self {
        self.ends(seq, Err(failure.into()), None, Duration::ZERO)
    }

    /// A local activity fails in the next task, and has to wait before its next attempt.
    pub(super) fn backs_off(&mut self, seq: u32, wait: Duration) -> &mut Self {
        self.ends(seq, Err(Failure::application("Busy", "later").into()), Some(wait), Duration::ZERO)
    }

    fn ends(
        &mut self,
        seq: u32,
        result: Result<Option<raw::Payload>, Box<Failure>>,
        backoff: Option<Duration>,
        elapsed: Duration,
    ) -> &mut Self {
        let at = EndedAt::After(elapsed);
        self.local.push_back(LocalEnded { seq, attempt: 1, result, backoff, at });
        self
    }

    /// The worker loses the run: the next one rebuilds it.
    pub(super) fn evict(&mut self) -> &mut Self {
        (self.run, self.seen) = (new_run(&self.definition), 0);
        self
    }

    pub(crate) fn query(&self, name: &str) -> Result<u32, QueryFailure> {
        self.run.query(name, &[], &Headers::new()).map(|answer| decode(&answer).unwrap())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.run.is_closed()
    }

    /// Writes what the server makes of a completed task.
    fn record(&mut self, completion: Completion, updates: &[Update]) -> String {
        let rejected = completion.messages.iter().any(|message| message.id.ends_with("/reject"));
        (self.warnings, self.messages) = (completion.warnings, completion.messages);
        self.rules.clone_from(&completion.rules);
        let completed = history::WorkflowTaskCompletedEventAttributes {
            sdk_metadata: Some(WorkflowTaskCompletedMetadata {
                lang_used_flags: completion.rules,
                sdk_name: "everloop".into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.add(completed);
        let mut lines = String::new();
        for command in completion.commands {
            let attributes = self.event_of(command, updates);
            self.add(attributes);
            let event = self.history.last().expect("one was added");
            writeln!(lines, "{}", CommandKind::recorded(event)).unwrap();
        }
        if rejected {
            lines.push_str("(rejected)\n");
        }
        lines
    }

    fn event_of(&self, command: Command, updates: &[Update]) -> Event {
        match command.attributes.expect("a live command has attributes") {
            Sent::StartTimerCommandAttributes(timer) => Event::from(history::TimerStartedEventAttributes {
                timer_id: timer.timer_id,
                start_to_fire_timeout: timer.start_to_fire_timeout,
                ..Default::default()
            }),
            Sent::CancelTimerCommandAttributes(timer) => {
                Event::from(history::TimerCanceledEventAttributes { timer_id: timer.timer_id, ..Default::default() })
            }
            Sent::ScheduleActivityTaskCommandAttributes(activity) => {
                Event::from(history::ActivityTaskScheduledEventAttributes {
                    activity_id: activity.activity_id,
                    activity_type: activity.activity_type,
                    input: activity.input,
                    ..Default::default()
                })
            }
            Sent::RequestCancelActivityTaskCommandAttributes(cancel) => {
                Event::from(history::ActivityTaskCancelRequestedEventAttributes {
                    scheduled_event_id: cancel.scheduled_event_id,
                    ..Default::default()
                })
            }
            Sent::StartChildWorkflowExecutionCommandAttributes(child) => {
                Event::from(history::StartChildWorkflowExecutionInitiatedEventAttributes {
                    workflow_id: child.workflow_id,
                    workflow_type: child.workflow_type,
                    input: child.input,
                    ..Default::default()
                })
            }
            Sent::SignalExternalWorkflowExecutionCommandAttributes(signal) => {
                Event::from(history::SignalExternalWorkflowExecutionInitiatedEventAttributes {
                    workflow_execution: signal.execution,
                    signal_name: signal.signal_name,
                    input: signal.input,
                    child_workflow_only: signal.child_workflow_only,
                    ..Default::default()
                })
            }
            Sent::RequestCancelExternalWorkflowExecutionCommandAttributes(cancel) => {
                Event::from(history::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes {
                    workflow_execution: Some(raw::WorkflowExecution {
                        workflow_id: cancel.workflow_id,
                        run_id: cancel.run_id,
                    }),
                    child_workflow_only: cancel.child_workflow_only,
                    ..Default::default()
                })
            }
            Sent::ProtocolMessageCommandAttributes(message) => self.event_of_message(&message.message_id, updates),
            Sent::RecordMarkerCommandAttributes(marker) => Event::from(history::MarkerRecordedEventAttributes {
                marker_name: marker.marker_name,
                details: marker.details,
                failure: marker.failure,
                ..Default::default()
            }),
            Sent::UpsertWorkflowSearchAttributesCommandAttributes(upsert) => {
                Event::from(history::UpsertWorkflowSearchAttributesEventAttributes {
                    search_attributes: upsert.search_attributes,
                    ..Default::default()
                })
            }
            Sent::CompleteWorkflowExecutionCommandAttributes(done) => {
                Event::from(history::WorkflowExecutionCompletedEventAttributes {
                    result: done.result,
                    ..Default::default()
                })
            }
            Sent::FailWorkflowExecutionCommandAttributes(done) => {
                Event::from(history::WorkflowExecutionFailedEventAttributes {
                    failure: done.failure,
                    ..Default::default()
                })
            }
            Sent::ContinueAsNewWorkflowExecutionCommandAttributes(next) => {
                Event::from(history::WorkflowExecutionContinuedAsNewEventAttributes {
                    workflow_type: next.workflow_type,
                    task_queue: next.task_queue,
                    input: next.input,
                    memo: next.memo,
                    header: next.header,
                    workflow_run_timeout: next.workflow_run_timeout,
                    workflow_task_timeout: next.workflow_task_timeout,
                    backoff_start_interval: next.backoff_start_interval,
                    ..Default::default()
                })
            }
            Sent::CancelWorkflowExecutionCommandAttributes(_) => {
                Event::WorkflowExecutionCanceledEventAttributes(Default::default())
            }
            other => panic!("no story issues {other:?}"),
        }
    }

    fn event_of_message(&self, message_id: &str, updates: &[Update]) -> Event {
        let message = self.messages.iter().find(|message| message.id == message_id).expect("the message is sent along");
        let update_id = message.protocol_instance_id.clone();
        if message_id.ends_with("/accept") {
            let accepted = updates.iter().find(|update| update.id == update_id).expect("it was delivered");
            let attributes = history::WorkflowExecutionUpdateAcceptedEventAttributes {
                protocol_instance_id: update_id,
                accepted_request: Some(accepted.request.clone()),
                ..Default::default()
            };
            return attributes.into();
        }
        let attributes = history::WorkflowExecutionUpdateCompletedEventAttributes {
            meta: Some(update::Meta { update_id, ..Default::default() }),
            ..Default::default()
        };
        attributes.into()
    }

    fn start_task(&mut self) {
        self.time += 1;
        let scheduled = Event::WorkflowTaskScheduledEventAttributes(Default::default());
        self.add(scheduled);
        let started = Event::WorkflowTaskStartedEventAttributes(Default::default());
        self.add(started);
    }

    /// The event that scheduled an activity, and the event that says it started, written just before it closes.
    fn start_activity(&mut self, activity_id: &str) -> (i64, i64) {
        let scheduled_event_id = self.scheduled(activity_id);
        let started =
            history::ActivityTaskStartedEventAttributes { scheduled_event_id, attempt: 1, ..Default::default() };
        self.add(started);
        (scheduled_event_id, self.history.len() as i64)
    }

    fn scheduled(&self, activity_id: &str) -> i64 {
        let is_it = |event: &&HistoryEvent| {
            matches!(
                &event.attributes,
                Some(Event::ActivityTaskScheduledEventAttributes(activity)) if activity.activity_id == activity_id
            )
        };
        self.history.iter().find(is_it).expect("the activity was scheduled").event_id
    }

    pub(super) fn add(&mut self, attributes: impl Into<Event>) -> &mut Self {
        let attributes = attributes.into();
        self.history.push(HistoryEvent {
            event_id: self.history.len() as i64 + 1,
            event_time: Some((UNIX_EPOCH + Duration::from_secs(self.time)).into()),
            event_type: attributes.event_type() as i32,
            attributes: Some(attributes),
            ..Default::default()
        });
        self
    }
}
