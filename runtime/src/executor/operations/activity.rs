//! Activities: `Requested -> Scheduled -> Cancelling -> Closed`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::command::v1::{
    RequestCancelActivityTaskCommandAttributes, ScheduleActivityTaskCommandAttributes,
};
use everloop_proto::temporal::api::failure::v1::Failure as WireFailure;
use everloop_proto::temporal::api::history::v1 as history;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;

use super::machine::{Cancel, Compared, Key, Machine};
use super::outcome::Outcome;
use super::request::{Issuer, Request, Requested};
use crate::data::{
    ActivityCancellationType, ActivityOptions, DEFAULT_START_TO_CLOSE_TIMEOUT, Failure, FailureKind, Payloads,
    RetryState, duration_to_wire,
};
use crate::executor::call_site::CallSite;
use crate::raw;

/// A call of an activity that has no id yet.
pub(crate) struct ActivityRequest<I> {
    pub(crate) activity_type: &'static str,
    /// The options of the call itself, which override those of the attribute.
    pub(crate) options: ActivityOptions,
    pub(crate) attribute: ActivityOptions,
    pub(crate) task_queue: Option<String>,
    pub(crate) activity_id: Option<String>,
    pub(crate) summary: Option<String>,
    /// Encodes the input with user code.
    pub(crate) input: I,
}

impl<I: FnOnce() -> Vec<raw::Payload>> Request for ActivityRequest<I> {
    type Machine = ActivityOperation;

    fn deed(&self) -> Cow<'static, str> {
        format!("schedules the activity `{}`", self.activity_type).into()
    }

    #[track_caller]
    fn issue(self, run: &impl Issuer, site: CallSite) -> Requested<ActivityOperation> {
        let Self { activity_type, options, attribute, task_queue, activity_id, summary, input } = self;
        // User code encodes, so no borrow may be held here.
        let needs_payloads = run.needs_payloads();
        let input = if needs_payloads { input() } else { Vec::new() };
        let options = run.worker_options().of_call(activity_type, options, attribute);
        if let (Err(error), false) = (options.check(), run.is_replaying()) {
            panic!("activity `{activity_type}`, called at {site}: {error}");
        }
        let next = run.take_id().to_string();
        let activity_id = activity_id.unwrap_or(next);
        let cancellation = options.cancellation_type.unwrap_or_default();
        let attributes = needs_payloads.then(|| {
            let task_queue = task_queue.unwrap_or_else(|| run.task_queue());
            let command = schedule_command(activity_type, activity_id.clone(), input, task_queue, options);
            CommandAttributes::ScheduleActivityTaskCommandAttributes(command)
        });
        let command =
            ActivityCommand::Schedule { activity_type: activity_type.to_owned(), activity_id: activity_id.clone() };
        let machine = ActivityOperation { activity_type, activity_id, cancellation, state: ActivityState::Requested };
        Requested { machine, command, attributes, summary, key: None }
    }
}

fn schedule_command(
    activity_type: &str,
    activity_id: String,
    input: Vec<raw::Payload>,
    task_queue: String,
    mut options: ActivityOptions,
) -> ScheduleActivityTaskCommandAttributes {
    if options.start_to_close_timeout.is_none() && options.schedule_to_close_timeout.is_none() {
        options.start_to_close_timeout = Some(DEFAULT_START_TO_CLOSE_TIMEOUT);
    }
    let duration = |limit: Option<Duration>| limit.map(duration_to_wire);
    ScheduleActivityTaskCommandAttributes {
        activity_id,
        activity_type: Some(raw::ActivityType { name: activity_type.to_owned() }),
        task_queue: Some(raw::TaskQueue { name: task_queue, ..Default::default() }),
        input: (!input.is_empty()).then_some(raw::Payloads { payloads: input }),
        start_to_close_timeout: duration(options.start_to_close_timeout),
        schedule_to_close_timeout: duration(options.schedule_to_close_timeout),
        schedule_to_start_timeout: duration(options.schedule_to_start_timeout),
        heartbeat_timeout: duration(options.heartbeat_timeout),
        retry_policy: options.retry_policy.map(|policy| policy.to_wire()),
        request_eager_execution: true,
        ..Default::default()
    }
}

/// The identity of an activity's command on replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ActivityCommand {
    Schedule { activity_type: String, activity_id: String },
    RequestCancel { scheduled_event_id: i64 },
}

impl fmt::Display for ActivityCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schedule { activity_type, activity_id } => {
                write!(f, "ScheduleActivity({activity_type}, id {activity_id})")
            }
            Self::RequestCancel { scheduled_event_id } => {
                write!(f, "RequestCancelActivity(scheduled by event {scheduled_event_id})")
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct ActivityOperation {
    activity_type: &'static str,
    activity_id: String,
    cancellation: ActivityCancellationType,
    state: ActivityState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ActivityState {
    /// The command is queued; history does not have its event yet.
    Requested,
    Scheduled {
        event_id: i64,
    },
    /// A command requests the cancellation.
    Cancelling {
        event_id: i64,
    },
    Closed,
}

/// The event that closes an activity.
pub(crate) enum Closing {
    Completed(Box<history::ActivityTaskCompletedEventAttributes>),
    Failed(Box<history::ActivityTaskFailedEventAttributes>),
    TimedOut(Box<history::ActivityTaskTimedOutEventAttributes>),
    Canceled(Box<history::ActivityTaskCanceledEventAttributes>),
}

impl Machine for ActivityOperation {
    type Command = ActivityCommand;
    type Change = Closing;

    fn read(event: EventAttributes) -> Result<Option<(Key, Closing)>, EventAttributes> {
        let (scheduled_event_id, closing) = match event {
            EventAttributes::ActivityTaskStartedEventAttributes(_) => return Ok(None),
            EventAttributes::ActivityTaskCompletedEventAttributes(done) => {
                (done.scheduled_event_id, Closing::Completed(done))
            }
            EventAttributes::ActivityTaskFailedEventAttributes(done) => {
                (done.scheduled_event_id, Closing::Failed(done))
            }
            EventAttributes::ActivityTaskTimedOutEventAttributes(done) => {
                (done.scheduled_event_id, Closing::TimedOut(done))
            }
            EventAttributes::ActivityTaskCanceledEventAttributes(done) => {
                (done.scheduled_event_id, Closing::Canceled(done))
            }
            other => return Err(other),
        };
        Ok(Some((Key::Event(scheduled_event_id), closing)))
    }

    fn unknown(key: &Key) -> String {
        format!("{key} scheduled no activity")
    }

    fn recorded(event: &EventAttributes) -> Option<ActivityCommand> {
        match event {
            EventAttributes::ActivityTaskScheduledEventAttributes(activity) => Some(ActivityCommand::Schedule {
                activity_type: activity.activity_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
                activity_id: activity.activity_id.clone(),
            }),
            EventAttributes::ActivityTaskCancelRequestedEventAttributes(cancel) => {
                Some(ActivityCommand::RequestCancel { scheduled_event_id: cancel.scheduled_event_id })
            }
            _ => None,
        }
    }

    fn inputs<'a>(event: &'a EventAttributes, command: &'a CommandAttributes) -> Option<Compared<'a>> {
        match (event, command) {
            (
                EventAttributes::ActivityTaskScheduledEventAttributes(event),
                CommandAttributes::ScheduleActivityTaskCommandAttributes(command),
            ) => Some(Compared { recorded: &event.input, issued: &command.input }),
            _ => None,
        }
    }

    fn confirmed(&mut self, event_id: i64) -> Option<Key> {
        if self.state == ActivityState::Requested {
            self.state = ActivityState::Scheduled { event_id };
        }
        Some(Key::Event(event_id))
    }

    fn apply(&mut self, closing: Closing) -> Result<Option<Outcome>, &'static str> {
        match self.state {
            ActivityState::Scheduled { .. } | ActivityState::Cancelling { .. } => self.state = ActivityState::Closed,
            ActivityState::Requested => {
                return Err("an activity closed before it was scheduled");
            }
            ActivityState::Closed => return Err("an activity closed twice"),
        }
        Ok(Some(Outcome::Returned(self.result(closing))))
    }

    fn cancel(&mut self) -> Cancel<ActivityCommand> {
        match self.state {
            ActivityState::Requested => {
                self.state = ActivityState::Closed;
                Cancel::Withdraw(self.cancelled(0))
            }
            ActivityState::Scheduled { event_id } if self.cancellation == ActivityCancellationType::Abandon => {
                Cancel::GoOn(self.cancelled(event_id))
            }
            ActivityState::Scheduled { event_id: scheduled_event_id } => {
                self.state = ActivityState::Cancelling { event_id: scheduled_event_id };
                let goes_on = self.cancellation == ActivityCancellationType::TryCancel;
                let attributes = RequestCancelActivityTaskCommandAttributes { scheduled_event_id };
                Cancel::Ask {
                    command: ActivityCommand::RequestCancel { scheduled_event_id },
                    attributes: CommandAttributes::RequestCancelActivityTaskCommandAttributes(attributes),
                    outcome: goes_on.then(|| self.cancelled(scheduled_event_id)),
                }
            }
            ActivityState::Cancelling { .. } | ActivityState::Closed => Cancel::Nothing,
        }
    }

    fn is_over(&self) -> bool {
        self.state == ActivityState::Closed
    }

    fn describe(&self, site: CallSite) -> String {
        format!("activity {} (id {}) at {site}", self.activity_type, self.activity_id)
    }
}

impl ActivityOperation {
    /// The result that the workflow receives for the event that closes the activity.
    fn result(&self, closing: Closing) -> Result<Option<raw::Payload>, Box<Failure>> {
        let cause = |failure: Option<WireFailure>| Failure::from_wire(failure.unwrap_or_default());
        let (cause, ended) = match closing {
            Closing::Completed(done) => return Ok(done.result.and_then(|result| result.payloads.into_iter().next())),
            Closing::Failed(done) => {
                let ended = Ended {
                    retry_state: RetryState::from_wire(done.retry_state),
                    scheduled_event_id: done.scheduled_event_id,
                    started_event_id: done.started_event_id,
                    identity: done.identity,
                };
                (cause(done.failure), ended)
            }
            Closing::TimedOut(done) => {
                let ended = Ended {
                    retry_state: RetryState::from_wire(done.retry_state),
                    scheduled_event_id: done.scheduled_event_id,
                    started_event_id: done.started_event_id,
                    identity: String::new(),
                };
                (cause(done.failure), ended)
            }
            Closing::Canceled(done) => {
                let mut cause = Failure::cancelled("the activity was cancelled");
                cause.kind = FailureKind::Cancelled { details: Payloads::from_wire(done.details) };
                let ended = Ended {
                    retry_state: RetryState::CancelRequested,
                    scheduled_event_id: done.scheduled_event_id,
                    started_event_id: done.started_event_id,
                    identity: done.identity,
                };
                (cause, ended)
            }
        };
        Err(self.failure(cause, ended).into())
    }

    /// The outcome of an activity that the workflow cancels without waiting for it.
    fn cancelled(&self, scheduled_event_id: i64) -> Outcome {
        let ended = Ended {
            retry_state: RetryState::CancelRequested,
            scheduled_event_id,
            started_event_id: 0,
            identity: String::new(),
        };
        Outcome::Returned(Err(self.failure(Failure::cancelled("cancelled by the workflow"), ended).into()))
    }

    /// The failure of the activity, around its cause.
    fn failure(&self, cause: Failure, ended: Ended) -> Failure {
        let message = match &cause.kind {
            FailureKind::Cancelled { .. } => "the activity was cancelled",
            FailureKind::Timeout { .. } => "the activity timed out",
            _ => "the activity failed",
        };
        let kind = FailureKind::Activity {
            activity_type: self.activity_type.to_owned(),
            activity_id: self.activity_id.clone(),
            retry_state: ended.retry_state,
            scheduled_event_id: ended.scheduled_event_id,
            started_event_id: ended.started_event_id,
            identity: ended.identity,
        };
        Failure::new(message, kind).caused_by(cause)
    }
}

/// The fields of a closing event, without the cause.
struct Ended {
    retry_state: RetryState,
    scheduled_event_id: i64,
    started_event_id: i64,
    identity: String,
}
