//! Rules that scripts of requests cannot test in reasonable time. `tests/histories` tests the ordinary ones.

mod chains;
mod recovery;

use std::sync::Arc;
use std::time::Duration;

use super::effects::{Close, Offer};
use super::error::Refusal;
use super::event::Attributes;
use super::history::decode_all;
use super::run::Run;
use super::signal::Signal;
use super::start::{Start, StartFields};
use super::time::{Time, wire_duration};
use super::workflow_task::completion::Completed;
use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::command::{
    Command, CompleteWorkflowExecutionCommandAttributes, RecordMarkerCommandAttributes,
    ScheduleActivityTaskCommandAttributes, StartTimerCommandAttributes,
};
use crate::api::common::ActivityType;
use crate::api::enums::{CommandType, EventType, WorkflowTaskFailedCause};
use crate::api::protocol::Message;
use crate::api::taskqueue::{StickyExecutionAttributes, TaskQueue};
use crate::api::update::{Input, Meta, Rejection, Request};
use crate::api::workflowservice::RespondWorkflowTaskCompletedRequest;
use crate::engine::workflow_task::state::TaskRef;
use crate::model::NamespaceNames;

/// A run and its clock.
struct Story {
    run: Run,
    now: Time,
    offers: Vec<Offer>,
    /// The refusal of the last transition that was undone.
    refusal: Option<Refusal>,
}

impl Story {
    fn begin() -> Self {
        Self::begin_after(Duration::ZERO)
    }

    /// Begins a run with a start delay.
    fn begin_after(start_delay: Duration) -> Self {
        let now = Time::from_nanos(1_000_000_000);
        let fields = StartFields {
            start_delay: wire_duration(start_delay),
            workflow_id: "w".to_owned(),
            workflow_type: "Flow".to_owned(),
            task_queue: "q".to_owned(),
            request_id: "r".to_owned(),
            ..StartFields::default()
        };
        let start = Start::check(fields, now).unwrap();
        let namespace = NamespaceNames { name: "default".into(), id: "id".into() };
        let run = Run::start(namespace, start, "run".into(), None, None, now).unwrap();
        let mut story = Self { run, now, offers: Vec::new(), refusal: None };
        story.close(Close::Write);
        story
    }

    fn close(&mut self, close: Close) {
        let effects = self.run.close_transaction(self.now, close);
        (self.offers, self.refusal) = (effects.offers, effects.refusal);
    }

    /// Starts the workflow task for a worker.
    fn take(&mut self) -> TaskRef {
        let stamp = self.run.state.workflow_task.as_ref().unwrap().stamp;
        self.run.start_workflow_task(stamp, "poll".into(), "worker", None, self.now).unwrap();
        self.close(Close::KeepSpeculative);
        self.current()
    }

    fn current(&self) -> TaskRef {
        let task = self.run.state.workflow_task.as_ref().unwrap();
        TaskRef { stamp: task.stamp, attempt: task.attempt, started_time: task.started.as_ref().unwrap().time }
    }

    fn complete(&mut self, which: TaskRef, commands: Vec<Command>) -> Completed {
        self.complete_as(which, RespondWorkflowTaskCompletedRequest { commands, ..Default::default() })
    }

    fn complete_as(&mut self, which: TaskRef, request: RespondWorkflowTaskCompletedRequest) -> Completed {
        let mut fresh_id = || Arc::from("fresh");
        let completed = self.run.complete_workflow_task(which, request, &mut fresh_id, self.now).unwrap();
        self.close(Close::KeepSpeculative);
        completed
    }

    fn signal(&mut self) -> Result<(), Refusal> {
        let result = self.run.signal(Signal { name: "go".to_owned(), ..Signal::default() }, self.now);
        self.close(Close::Write);
        result
    }

    fn types(&self) -> Vec<EventType> {
        decode_all(self.run.history.batches()).unwrap().iter().map(|event| event.event_type()).collect()
    }
}

fn command(kind: CommandType, attributes: CommandAttributes) -> Command {
    Command { command_type: kind as i32, attributes: Some(attributes), ..Default::default() }
}

fn timer(id: &str) -> Command {
    let attributes = StartTimerCommandAttributes {
        timer_id: id.to_owned(),
        start_to_fire_timeout: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
    };
    command(CommandType::StartTimer, CommandAttributes::StartTimerCommandAttributes(attributes))
}

fn activity(id: &str) -> Command {
    let attributes = ScheduleActivityTaskCommandAttributes {
        activity_id: id.to_owned(),
        activity_type: Some(ActivityType { name: "act".to_owned() }),
        task_queue: Some(TaskQueue { name: "q".to_owned(), ..Default::default() }),
        start_to_close_timeout: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..Default::default()
    };
    command(CommandType::ScheduleActivityTask, CommandAttributes::ScheduleActivityTaskCommandAttributes(attributes))
}

fn complete_workflow() -> Command {
    let attributes = CompleteWorkflowExecutionCommandAttributes::default();
    command(
        CommandType::CompleteWorkflowExecution,
        CommandAttributes::CompleteWorkflowExecutionCommandAttributes(attributes),
    )
}

#[test]
fn too_many_buffered_events_fail_the_workflow_task() {
    let mut story = Story::begin();
    story.take();
    for _ in 0..100 {
        story.signal().unwrap();
    }
    assert_eq!(story.types().len(), 3);
    story.signal().unwrap();
    let types = story.types();
    assert_eq!(types[3], EventType::WorkflowTaskFailed);
    assert_eq!(types[4..105], [EventType::WorkflowExecutionSignaled; 101]);
    assert_eq!(types[105..], [EventType::WorkflowTaskScheduled]);
    let failed = story.run.history.event(4).unwrap();
    let Some(Attributes::WorkflowTaskFailedEventAttributes(failed)) = failed.attributes else { panic!("{failed:?}") };
    assert_eq!(failed.cause(), WorkflowTaskFailedCause::ForceCloseCommand);
}

#[test]
fn signals_cannot_keep_a_workflow_from_closing() {
    let mut story = Story::begin();
    let task = story.take();
    story.signal().unwrap();
    let refused = story.complete(task, vec![complete_workflow()]);
    assert_eq!(refused.refusal, Some(Refusal::InvalidArgument("UnhandledCommand".to_owned())));
    // The next task is only scheduled, so signals are still accepted.
    story.signal().unwrap();
    let task = story.take();
    assert_eq!(story.signal(), Err(Refusal::closing()));
    assert_eq!(story.complete(task, vec![complete_workflow()]).refusal, None);
    assert!(!story.run.is_open());
}

#[test]
fn an_invalid_command_rolls_back_the_valid_ones_before_it() {
    let mut story = Story::begin();
    let task = story.take();
    let refused = story.complete(task, vec![timer("a"), activity("b"), timer("a")]);
    assert!(refused.refusal.is_some());
    assert!(story.run.state.timers.is_empty() && story.run.state.activities.is_empty());
    assert_eq!(story.types()[3..], [EventType::WorkflowTaskFailed]);
    let is_workflow_task = |offer: &Offer| matches!(offer, Offer::WorkflowTask { .. });
    assert!(story.offers.len() == 1 && story.offers.iter().all(is_workflow_task), "{:?}", story.offers);
    let task = story.take();
    story.complete(task, vec![timer("a")]);
    assert_eq!(story.run.state.timers.len(), 1);
}

#[test]
fn workflow_task_timeouts_grow_with_repeated_failures() {
    let mut story = Story::begin();
    let mut timeouts = Vec::new();
    for _ in 0..14 {
        let timeout = story.run.state.workflow_task.as_ref().unwrap().timeout.as_secs();
        timeouts.push(timeout);
        story.take();
        story.now = story.now + Duration::from_secs(timeout);
        story.run.handle_timeout(story.now, &mut || Arc::from("next"));
        story.close(Close::KeepSpeculative);
    }
    assert_eq!(timeouts, [10, 10, 10, 15, 20, 30, 50, 90, 170, 330, 610, 610, 610, 610]);
    // Only the first attempt is written.
    assert_eq!(story.types().len(), 4);
}

#[test]
fn a_heartbeating_workflow_task_times_out_after_half_an_hour() {
    let mut story = Story::begin();
    let mut task = story.take();
    let busy = || RespondWorkflowTaskCompletedRequest {
        force_create_new_workflow_task: true,
        return_new_workflow_task: true,
        ..Default::default()
    };
    for _ in 0..225 {
        story.now = story.now + Duration::from_secs(8);
        let completed = story.complete_as(task, busy());
        assert!(completed.next_task && completed.refusal.is_none());
        task = story.current();
    }
    story.now = story.now + Duration::from_secs(8);
    let completed = story.complete_as(task, busy());
    assert_eq!(completed.refusal, Some(Refusal::NotFound("workflow task heartbeat timeout".to_owned())));
    assert!(story.types().contains(&EventType::WorkflowTaskTimedOut));
}

#[test]
fn a_run_accepts_at_most_ten_concurrent_updates() {
    let mut story = Story::begin();
    let update = |id: usize| Request {
        meta: Some(Meta { update_id: id.to_string(), ..Default::default() }),
        input: Some(Input { name: "u".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    for id in 0..10 {
        story.run.admit_update(&id.to_string(), update(id), story.now).unwrap();
    }
    let refused = story.run.admit_update("10", update(10), story.now);
    assert!(matches!(refused, Err(Refusal::TooMany(_))), "{refused:?}");
}

/// Regression: the task of the update used to end the start delay. It wrote nothing, so the run never got another task.
#[test]
fn a_rejected_update_does_not_end_the_start_delay() {
    let mut story = Story::begin_after(Duration::from_secs(60));
    let admit = |story: &mut Story| {
        let request = Request { input: Some(Input::default()), ..Default::default() };
        story.run.admit_update("u", request, story.now).unwrap();
        story.close(Close::KeepSpeculative);
        story.take()
    };
    let reject = |story: &mut Story, task| {
        let body = prost_types::Any::from_msg(&Rejection::default()).unwrap();
        let message = Message { protocol_instance_id: "u".to_owned(), body: Some(body), ..Default::default() };
        story.complete_as(task, RespondWorkflowTaskCompletedRequest { messages: vec![message], ..Default::default() });
    };
    let task = admit(&mut story);
    reject(&mut story, task);
    assert_eq!(story.types(), [EventType::WorkflowExecutionStarted]);
    assert_eq!(story.run.next_deadline(), Some(story.now + Duration::from_secs(60)));
    story.signal().unwrap();
    assert!(story.run.state.workflow_task.is_none(), "a signal does not end the delay");

    // The start delay ends while a worker has another update.
    story.now = story.now + Duration::from_secs(55);
    let task = admit(&mut story);
    story.now = story.now + Duration::from_secs(5);
    story.run.handle_timeout(story.now, &mut || Arc::from("next"));
    story.close(Close::KeepSpeculative);
    reject(&mut story, task);
    use EventType as T;
    assert_eq!(
        story.types(),
        [
            T::WorkflowExecutionStarted,
            T::WorkflowExecutionSignaled,
            T::WorkflowTaskScheduled,
            T::WorkflowTaskStarted,
            T::WorkflowTaskCompleted
        ]
    );
}

fn markers(count: usize, bytes: usize) -> Vec<Command> {
    let details = crate::api::common::Payloads {
        payloads: vec![crate::api::common::Payload { data: vec![0; bytes].into(), ..Default::default() }],
    };
    let attributes = RecordMarkerCommandAttributes {
        marker_name: "m".to_owned(),
        details: [("d".to_owned(), details)].into(),
        ..Default::default()
    };
    let marker = command(CommandType::RecordMarker, CommandAttributes::RecordMarkerCommandAttributes(attributes));
    vec![marker; count]
}

/// Completes tasks with `count` markers each until a completion is refused; returns the refusal.
fn until_refused(story: &mut Story, count: usize, bytes: usize) -> Refusal {
    loop {
        let task = story.take();
        let request = RespondWorkflowTaskCompletedRequest {
            commands: markers(count, bytes),
            force_create_new_workflow_task: true,
            ..Default::default()
        };
        story.complete_as(task, request);
        if let Some(refusal) = story.refusal.take() {
            return refusal;
        }
    }
}

#[test]
fn a_run_with_too_long_a_history_is_terminated() {
    for (count, bytes, reason) in
        [(997, 0, "Workflow history count exceeds limit."), (2, 1 << 20, "Workflow history size exceeds limit.")]
    {
        let mut story = Story::begin();
        assert_eq!(until_refused(&mut story, count, bytes), Refusal::invalid(reason));
        assert!(!story.run.is_open() && story.run.is_long());
        assert!(story.run.history.next_event_id() - 1 <= 51_200 + 2 && story.run.history.size_bytes() < 51 << 20);
        let types = story.types();
        assert_eq!(
            types[types.len() - 3..],
            [EventType::WorkflowTaskStarted, EventType::WorkflowTaskFailed, EventType::WorkflowExecutionTerminated]
        );
        let last = story.run.history.event(types.len() as i64).unwrap();
        let Some(Attributes::WorkflowExecutionTerminatedEventAttributes(terminated)) = last.attributes else {
            panic!("{last:?}")
        };
        assert_eq!((&*terminated.reason, &*terminated.identity), (reason, "history-service"));
    }
}

#[test]
fn signals_count_towards_the_length_of_a_history() {
    let mut story = Story::begin();
    // Each round adds 999 markers and the three events of its task.
    for _ in 0..51 {
        let task = story.take();
        let request = RespondWorkflowTaskCompletedRequest {
            commands: markers(997, 0),
            force_create_new_workflow_task: true,
            ..Default::default()
        };
        story.complete_as(task, request);
        assert_eq!(story.refusal, None);
    }
    while story.refusal.is_none() {
        assert!(story.run.is_open());
        story.signal().unwrap();
    }
    assert_eq!(story.refusal, Some(Refusal::invalid("Workflow history count exceeds limit.")));
    assert_eq!(story.run.history.next_event_id() - 1, 51_201, "the signal that was too much is not in it");
    let types = story.types();
    assert_eq!(
        types[types.len() - 2..],
        [EventType::WorkflowExecutionSignaled, EventType::WorkflowExecutionTerminated]
    );
}

#[test]
fn a_completion_that_makes_a_short_history_too_long_is_undone() {
    let mut story = Story::begin();
    let refusal = until_refused(&mut story, 60_000, 0);
    assert_eq!(refusal, Refusal::invalid("Workflow history count exceeds limit."));
    assert_eq!(
        story.types()[2..],
        [EventType::WorkflowTaskStarted, EventType::WorkflowTaskFailed, EventType::WorkflowExecutionTerminated]
    );
    assert!(!story.run.is_open() && story.offers.is_empty() && story.run.next_deadline().is_none());
}

#[test]
fn a_closed_run_has_no_deadlines() {
    let mut story = Story::begin();
    let task = story.take();
    story.complete(task, vec![timer("a"), activity("b")]);
    let before = story.run.next_deadline().unwrap();
    assert!(before <= story.now + Duration::from_secs(60));
    story.run.terminate(Default::default(), story.now).unwrap();
    story.close(Close::Write);
    assert_eq!(story.run.next_deadline(), None);
    story.now = story.now + Duration::from_secs(3600);
    story.run.handle_timeout(story.now, &mut || Arc::from("next"));
    let effects = story.run.close_transaction(story.now, Close::KeepSpeculative);
    assert!(effects.batches.is_empty());
}

/// Regression: the task was offered to all workers because its sticky worker had not polled lately. Its
/// schedule-to-start timeout remained, and expired after another worker had started the task.
#[test]
fn a_sticky_task_started_by_another_worker_has_no_schedule_to_start_timeout() {
    let mut story = Story::begin();
    let first = story.take();
    let sticky_attributes = Some(StickyExecutionAttributes {
        worker_task_queue: Some(TaskQueue { name: "own".to_owned(), ..Default::default() }),
        schedule_to_start_timeout: Duration::from_secs(5).try_into().ok(),
    });
    story.complete_as(first, RespondWorkflowTaskCompletedRequest { sticky_attributes, ..Default::default() });
    story.signal().unwrap();
    assert!(story.run.state.workflow_task.as_ref().unwrap().sticky);

    let taken = story.take();
    story.now = story.now + Duration::from_secs(6);
    story.run.handle_timeout(story.now, &mut || Arc::from("next"));
    let effects = story.run.close_transaction(story.now, Close::KeepSpeculative);
    assert!(effects.batches.is_empty(), "nothing has timed out");
    assert_eq!(story.current().stamp, taken.stamp);
}

#[test]
fn command_whose_attributes_are_of_another_kind_fails_the_task() {
    let mut story = Story::begin();
    let task = story.take();
    let command = Command { command_type: CommandType::CompleteWorkflowExecution as i32, ..timer("a") };
    let completed = story.complete(task, vec![command]);
    assert_eq!(
        completed.refusal,
        Some(Refusal::invalid(
            "BadCompleteWorkflowExecutionAttributes: attributes of CompleteWorkflowExecution are not set on command"
        ))
    );
    assert!(story.run.is_open() && story.run.state.timers.is_empty());
}
