//! A run recovered from the store equals the run that was stored.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::api::command::{CancelTimerCommandAttributes, RequestCancelActivityTaskCommandAttributes};
use crate::api::common::{Payloads, RetryPolicy};
use crate::api::enums::{RetryState, TimeoutType};
use crate::api::failure::failure::FailureInfo;
use crate::api::failure::{ApplicationFailureInfo, Failure};
use crate::engine::activity::pause::{ActivitySelection, Restart};
use crate::engine::activity::report::ActivityRef;
use crate::engine::activity::state::Pause;
use crate::engine::effects::Effects;
use crate::engine::fold::RunIds;
use crate::engine::overlay::Overlay;
use crate::engine::recover::Stored;
use crate::engine::start::Attachment;
use crate::engine::workflow_task::end::{Responder, TaskFailure};

/// A step of a random sequence; steps that are not possible in the current state are skipped.
#[derive(Clone, Copy, Debug)]
enum RandomStep {
    Take,
    CompleteWithTimer,
    CompleteWithActivity { attempts: i32 },
    CancelSomething,
    CompleteAndAskAgain,
    FailTask,
    StartActivity,
    FinishActivity,
    FailActivity,
    Heartbeat,
    PauseActivities,
    UnpauseActivities { reset: bool },
    ResetActivities { keep_paused: bool },
    Signal,
    Update,
    Attach,
    Cancel,
    Pass { seconds: u64 },
}

fn step() -> impl Strategy<Value = RandomStep> {
    prop_oneof![
        4 => Just(RandomStep::Take),
        2 => Just(RandomStep::CompleteWithTimer),
        3 => (0..3).prop_map(|attempts| RandomStep::CompleteWithActivity { attempts }),
        1 => Just(RandomStep::CancelSomething),
        1 => Just(RandomStep::CompleteAndAskAgain),
        1 => Just(RandomStep::FailTask),
        3 => Just(RandomStep::StartActivity),
        1 => Just(RandomStep::FinishActivity),
        2 => Just(RandomStep::FailActivity),
        1 => Just(RandomStep::Heartbeat),
        1 => Just(RandomStep::PauseActivities),
        1 => proptest::bool::ANY.prop_map(|reset| RandomStep::UnpauseActivities { reset }),
        1 => proptest::bool::ANY.prop_map(|keep_paused| RandomStep::ResetActivities { keep_paused }),
        2 => Just(RandomStep::Signal),
        1 => Just(RandomStep::Update),
        1 => Just(RandomStep::Attach),
        1 => Just(RandomStep::Cancel),
        2 => (0..200u64).prop_map(|seconds| RandomStep::Pass { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_run_equals_the_run_rebuilt_from_the_store_after_every_step(steps in vec(step(), 1..60)) {
        let mut story = Story::begin();
        for (number, step) in steps.into_iter().enumerate() {
            story.happen(step, number);
            assert_eq!(story.run.difference_to_stored(), None, "after {step:?}");
            if !story.run.is_open() {
                break;
            }
        }
    }
}

/// A workflow may reuse the id of an operation that has finished, before it learns of the end.
#[test]
fn a_reused_id_refers_to_the_later_operation() {
    let mut story = Story::begin();
    let task = story.take();
    story.complete(task, vec![timer("x"), activity("x")]);
    story.happen(RandomStep::Pass { seconds: 55 }, 0);
    story.signal().unwrap();
    let task = story.take();
    story.start_activity(0);
    let which = story.started_activity().unwrap();
    story.run.complete_activity(&which, None, "worker".to_owned(), story.now).unwrap();
    story.close(Close::Write);
    story.happen(RandomStep::Pass { seconds: 5 }, 0);
    assert_eq!(story.run.difference_to_stored(), None, "both ends wait");

    story.complete(task, vec![timer("x"), activity("x")]);
    assert_eq!((story.run.state.timers.len(), story.run.state.activity_ids.len()), (1, 1));
    assert_eq!(story.run.difference_to_stored(), None, "both starts stand before the ends");
}

#[test]
fn pending_tasks_are_offered_again_after_recovery() {
    let mut story = Story::begin();
    let mut run = story.recovered();
    let offers = resume(&mut run, true, story.now).offers;
    assert!(matches!(offers[..], [Offer::WorkflowTask { stamp: 2, .. }]), "{offers:?}");

    let task = story.take();
    story.complete(task, vec![activity("a"), activity("b"), timer("t")]);
    story.start_activity(0);
    let mut run = story.recovered();
    let offers = resume(&mut run, true, story.now).offers;
    assert!(matches!(offers[..], [Offer::ActivityTask { scheduled_event_id: 6, attempt: 1, .. }]), "{offers:?}");
}

#[test]
fn an_attempt_that_ended_with_its_process_is_counted() {
    for maximum_attempts in [0, 2] {
        let mut story = Story::begin();
        let task = story.take();
        story.complete(task, vec![activity_of("a", maximum_attempts)]);
        story.start_activity(0);

        let mut stays = story.recovered();
        assert_eq!(resume(&mut stays, false, story.now).offers, []);
        assert_eq!(stays.state.activities[&5].attempt, 1, "its worker can still report on it");

        let mut run = story.recovered();
        assert_eq!(resume(&mut run, true, story.now).offers, [], "the next attempt waits as after any failure");
        let activity = &run.state.activities[&5];
        assert_eq!((activity.attempt, activity.backing_off, activity.started.is_some()), (2, true, false));
        let failure = activity.last_failure.as_ref().unwrap();
        assert!(
            failure.message.ends_with("the process that ran attempt 1 ended before the attempt did"),
            "{failure:?}"
        );
        let offers = {
            run.handle_timeout(story.now + Duration::from_secs(1), &mut || Arc::from("next"));
            run.close_transaction(story.now, Close::KeepSpeculative).offers
        };
        assert!(matches!(offers[..], [Offer::ActivityTask { scheduled_event_id: 5, attempt: 2, .. }]), "{offers:?}");
    }
}

#[test]
fn a_last_attempt_that_ended_with_its_process_fails_the_activity() {
    let mut story = Story::begin();
    let task = story.take();
    story.complete(task, vec![activity_of("a", 1)]);
    story.start_activity(0);
    let mut run = story.recovered();
    let events = decode_all(&resume(&mut run, true, story.now).batches).unwrap();
    let types: Vec<_> = events.iter().map(|event| event.event_type()).collect();
    assert_eq!(
        types,
        [EventType::ActivityTaskStarted, EventType::ActivityTaskTimedOut, EventType::WorkflowTaskScheduled]
    );
    let Some(Attributes::ActivityTaskTimedOutEventAttributes(timed_out)) = &events[1].attributes else {
        panic!("{events:?}")
    };
    assert_eq!(timed_out.retry_state(), RetryState::MaximumAttemptsReached);
    let Some(FailureInfo::TimeoutFailureInfo(info)) =
        timed_out.failure.as_ref().and_then(|it| it.failure_info.as_ref())
    else {
        panic!("{timed_out:?}")
    };
    assert_eq!(info.timeout_type(), TimeoutType::StartToClose);
}

#[test]
fn a_workflow_task_times_out_when_the_process_of_its_worker_ended() {
    let mut story = Story::begin();
    let task = story.take();
    story.signal().unwrap();
    let mut stays = story.recovered();
    assert_eq!(resume(&mut stays, false, story.now).batches, []);
    assert!(stays.current_workflow_task(task).is_ok(), "its worker can still complete it");

    let mut goes = story.recovered();
    let effects = resume(&mut goes, true, story.now);
    let types: Vec<_> = decode_all(&effects.batches).unwrap().iter().map(|event| event.event_type()).collect();
    assert_eq!(
        types,
        [EventType::WorkflowTaskTimedOut, EventType::WorkflowExecutionSignaled, EventType::WorkflowTaskScheduled]
    );
    assert!(goes.current_workflow_task(task).is_err());
}

#[test]
fn workflow_task_attempts_continue_counting_after_recovery() {
    let mut story = Story::begin();
    for _ in 0..4 {
        story.take();
        story.happen(RandomStep::FailTask, 0);
    }
    let mut run = story.recovered();
    resume(&mut run, true, story.now);
    assert_eq!(run.state.workflow_task.as_ref().map(|task| task.attempt), Some(5));
    assert!(run.worker_is_failing());
}

#[test]
fn the_error_for_a_damaged_history_names_the_event() {
    let mut story = Story::begin();
    let task = story.take();
    story.complete(task, vec![timer("t")]);
    let mut stored = story.stored(Overlay::default());
    stored.batches.remove(1);
    let error = Run::recover(stored).unwrap_err().to_string();
    assert_eq!(error, "history of run run: event 3 cannot be read: it is missing");
    let mut stored = story.stored(Overlay::default());
    stored.batches.clear();
    let error = Run::recover(stored).unwrap_err().to_string();
    assert_eq!(error, "history of run run: it does not begin with WorkflowExecutionStarted");
}

impl Story {
    fn stored(&self, overlay: Overlay) -> Stored {
        let info = &self.run.info;
        Stored {
            ids: RunIds {
                namespace: info.namespace.clone(),
                workflow_id: info.workflow_id.clone(),
                run_id: info.run_id.clone(),
                create_request_id: info.create_request_id.clone(),
            },
            batches: self.run.history.batches().to_vec(),
            overlay,
        }
    }

    fn recovered(&self) -> Run {
        self.recovered_with(self.run.overlay())
    }

    fn recovered_with(&self, overlay: Overlay) -> Run {
        use prost::Message as _;
        let overlay = Overlay::decode(overlay.to_bytes()).unwrap();
        Run::recover(self.stored(overlay)).unwrap()
    }

    /// Starts the activity at index `place` among those that wait for a worker.
    fn start_activity(&mut self, place: usize) -> bool {
        let waits = |it: &&Arc<crate::engine::activity::state::Activity>| {
            it.started.is_none() && !it.backing_off && it.paused.is_none()
        };
        let Some((id, attempt)) =
            self.run.state.activities.values().filter(waits).map(|it| (it.scheduled_event_id, it.attempt)).nth(place)
        else {
            return false;
        };
        self.run.start_activity(id, attempt, "poll".into(), "worker", self.now).unwrap();
        self.close(Close::Write);
        true
    }

    fn started_activity(&self) -> Option<ActivityRef> {
        let started = self.run.state.activities.values().find(|it| it.started.is_some())?;
        Some(ActivityRef::Attempt { scheduled_event_id: started.scheduled_event_id, attempt: started.attempt })
    }

    fn complete_started(&mut self, commands: Vec<Command>, ask_again: bool) {
        if self.run.has_started_workflow_task() {
            let request = RespondWorkflowTaskCompletedRequest {
                commands,
                force_create_new_workflow_task: ask_again,
                return_new_workflow_task: ask_again,
                ..Default::default()
            };
            self.complete_as(self.current(), request);
        }
    }

    fn happen(&mut self, step: RandomStep, number: usize) {
        let id = number.to_string();
        // A workflow may reuse the id of an operation that has finished, before it learns of the end.
        let used_again = (number % 3).to_string();
        match step {
            RandomStep::Take => {
                if self.run.state.workflow_task.as_ref().is_some_and(|task| task.started.is_none()) {
                    self.take();
                }
            }
            RandomStep::CompleteWithTimer => self.complete_started(vec![timer(&used_again)], false),
            RandomStep::CompleteWithActivity { attempts } => {
                self.complete_started(vec![activity_of(&used_again, attempts)], false);
            }
            RandomStep::CancelSomething => {
                let timers = self.run.state.timers.keys().next().map(|id| cancel_timer(id));
                let activities = self.run.state.activities.values().filter(|it| it.cancel_requested.is_none());
                let activities = activities.map(|it| cancel_activity(it.scheduled_event_id)).next();
                self.complete_started(timers.into_iter().chain(activities).collect(), false);
            }
            RandomStep::CompleteAndAskAgain => self.complete_started(vec![], true),
            RandomStep::FailTask => {
                if self.run.has_started_workflow_task() {
                    let cause = WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure;
                    let identity = "worker".to_owned();
                    let responder = Responder { identity, ..Responder::default() };
                    let failure = TaskFailure { cause, responder, ..TaskFailure::default() };
                    self.run.fail_workflow_task(failure, self.now);
                    self.close(Close::Write);
                }
            }
            RandomStep::StartActivity => drop(self.start_activity(0)),
            RandomStep::FinishActivity => {
                if let Some(which) = self.started_activity() {
                    self.run.complete_activity(&which, None, "worker".to_owned(), self.now).unwrap();
                    self.close(Close::Write);
                }
            }
            RandomStep::FailActivity => {
                if let Some(which) = self.started_activity() {
                    self.run.fail_activity(&which, failure(&id), None, "worker".to_owned(), self.now).unwrap();
                    self.close(Close::Write);
                }
            }
            RandomStep::Heartbeat => {
                if let Some(which) = self.started_activity() {
                    let details = Some(Payloads { payloads: vec![Default::default()] });
                    self.run.heartbeat_activity(&which, details, self.now).unwrap();
                    self.close(Close::Write);
                }
            }
            RandomStep::PauseActivities => {
                let text = |text: &str| Arc::<str>::from(text);
                let (identity, reason, request_id) = (text("operator"), text("why"), text(&id));
                let pause = Pause { time: self.now, identity, reason, request_id };
                // Rejected if there are none, or if one is paused.
                if self.run.pause_activities(&ActivitySelection::All, &pause).is_ok() {
                    self.close(Close::Write);
                }
            }
            RandomStep::UnpauseActivities { reset } => {
                let restart = Restart { reset_attempts: reset, reset_heartbeat: reset, ..Restart::default() };
                if self.run.unpause_activities(&ActivitySelection::All, restart, self.now).is_ok() {
                    self.close(Close::Write);
                }
            }
            RandomStep::ResetActivities { keep_paused } => {
                let restart = Restart { keep_paused, reset_heartbeat: keep_paused, ..Restart::default() };
                if self.run.reset_activities(&ActivitySelection::All, restart, self.now).is_ok() {
                    self.close(Close::Write);
                }
            }
            RandomStep::Signal => {
                let signal = Signal { name: "go".to_owned(), request_id: id, ..Signal::default() };
                if self.run.signal(signal, self.now).is_ok() {
                    self.close(Close::Write);
                }
            }
            RandomStep::Update => {
                let request = Request { input: Some(Input::default()), ..Default::default() };
                if self.run.admit_update(&id, request, self.now).is_ok() {
                    self.close(Close::KeepSpeculative);
                }
            }
            RandomStep::Attach => {
                let fields = StartFields {
                    workflow_id: "w".to_owned(),
                    workflow_type: "Flow".to_owned(),
                    task_queue: "q".to_owned(),
                    request_id: id,
                    ..StartFields::default()
                };
                let start = Start::check(fields, self.now).unwrap();
                self.run.attach(Attachment { request_id: true, links: vec![] }, &start, self.now);
                self.close(Close::Write);
            }
            RandomStep::Cancel => {
                self.run.request_cancel(Default::default(), self.now);
                self.close(Close::Write);
            }
            RandomStep::Pass { seconds } => {
                self.now = self.now + Duration::from_secs(seconds);
                self.run.handle_timeout(self.now, &mut || Arc::from("next"));
                self.close(Close::KeepSpeculative);
            }
        }
    }
}

/// Activates a recovered run.
fn resume(run: &mut Run, workers_are_gone: bool, now: Time) -> Effects {
    run.resume(workers_are_gone, now);
    run.close_transaction(now, Close::Write)
}

fn activity_of(id: &str, maximum_attempts: i32) -> Command {
    let mut command = activity(id);
    if let Some(CommandAttributes::ScheduleActivityTaskCommandAttributes(attributes)) = &mut command.attributes {
        attributes.retry_policy = Some(RetryPolicy { maximum_attempts, ..Default::default() });
        attributes.heartbeat_timeout = Some(prost_types::Duration { seconds: 30, nanos: 0 });
    }
    command
}

fn cancel_timer(id: &str) -> Command {
    let attributes = CancelTimerCommandAttributes { timer_id: id.to_owned() };
    command(CommandType::CancelTimer, CommandAttributes::CancelTimerCommandAttributes(attributes))
}

fn cancel_activity(scheduled_event_id: i64) -> Command {
    let attributes = RequestCancelActivityTaskCommandAttributes { scheduled_event_id };
    let attributes = CommandAttributes::RequestCancelActivityTaskCommandAttributes(attributes);
    command(CommandType::RequestCancelActivityTask, attributes)
}

fn failure(message: &str) -> Failure {
    Failure {
        message: message.to_owned(),
        failure_info: Some(FailureInfo::ApplicationFailureInfo(ApplicationFailureInfo::default())),
        ..Default::default()
    }
}
