//! Local activities: `Called -> Running -> Closed`, with `Cancelling` and `BackingOff` on the way.
//!
//! The worker runs a local activity within the workflow task. History has its result alone, in a marker: a command that the
//! executor issues when the result arrives. On replay the marker is the result.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;

use super::local_marker::{Marker, MarkerData, Seconds};
use super::machine::{Cancel, Key, Machine};
use super::outcome::Outcome;
use crate::data::{
    ActivityCancellationType, ActivityOptions, DEFAULT_START_TO_CLOSE_TIMEOUT, Failure, FailureKind, RetryState,
};
use crate::executor::call_site::CallSite;
use crate::raw;

/// A call of a local activity that has no id yet.
pub(crate) struct LocalActivityRequest {
    pub(crate) activity_type: &'static str,
    /// The options of the call itself, which override those of the attribute.
    pub(crate) options: ActivityOptions,
    pub(crate) attribute: ActivityOptions,
    pub(crate) local_retry_threshold: Option<Duration>,
    pub(crate) activity_id: Option<String>,
    pub(crate) summary: Option<String>,
}

/// One call of a local activity, for the worker that runs it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LocalActivityTask {
    /// Identifies the call in its run, from its first attempt to its result or to a back-off by a timer.
    pub(crate) seq: u32,
    pub(crate) activity_id: String,
    pub(crate) activity_type: &'static str,
    /// The number of the first attempt.
    pub(crate) attempt: u32,
    /// The time at which the workflow called the activity.
    pub(crate) scheduled: SystemTime,
    /// The time since then, for earlier attempts and timers.
    pub(crate) elapsed: Duration,
    pub(crate) input: Vec<raw::Payload>,
    pub(crate) options: ActivityOptions,
    /// Longer waits between attempts are timers of the workflow.
    pub(crate) local_retry_threshold: Duration,
    /// The line of the call.
    pub(crate) site: CallSite,
}

/// A request to the worker about a local activity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LocalRequest {
    Start(Arc<LocalActivityTask>),
    /// Cancel the activity.
    Cancel {
        seq: u32,
    },
    /// Let the activity continue, and ignore its result.
    Abandon {
        seq: u32,
    },
}

/// The end of a local activity, or of its attempts so far.
#[derive(Debug)]
pub(crate) struct LocalEnded {
    pub(crate) seq: u32,
    /// The number of the last attempt.
    pub(crate) attempt: u32,
    pub(crate) result: Result<Option<raw::Payload>, Box<Failure>>,
    /// The wait before the next attempt. `None` if the activity has ended.
    pub(crate) backoff: Option<Duration>,
    pub(crate) at: EndedAt,
}

/// The time at which a local activity ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EndedAt {
    /// The time since the worker started the activity.
    After(Duration),
    /// The time in history.
    Recorded(Option<SystemTime>),
}

impl LocalEnded {
    /// The end that an event records, if it is the marker of a local activity.
    pub(crate) fn recorded(event: &HistoryEvent) -> Option<Self> {
        let Some(EventAttributes::MarkerRecordedEventAttributes(marker)) = &event.attributes else { return None };
        let Marker { data, result } = Marker::read(marker)?;
        Some(Self {
            seq: data.seq,
            attempt: data.attempt,
            result,
            backoff: data.backoff.map(Seconds::duration),
            at: EndedAt::Recorded(data.complete_time.and_then(Seconds::time)),
        })
    }
}

/// Longer waits between attempts are timers.
const DEFAULT_LOCAL_RETRY_THRESHOLD: Duration = Duration::from_secs(60);

/// The identity on replay of the marker of a local activity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalActivityCommand {
    seq: u32,
    activity_type: Box<str>,
    activity_id: Box<str>,
}

impl fmt::Display for LocalActivityCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, activity_type, activity_id } = self;
        write!(f, "LocalActivity({activity_type}, id {activity_id}")?;
        if **activity_id != *seq.to_string() {
            write!(f, ", call {seq}")?;
        }
        f.write_str(")")
    }
}

#[derive(Debug)]
pub(crate) struct LocalActivityOperation {
    task: Arc<LocalActivityTask>,
    cancellation: ActivityCancellationType,
    summary: Option<String>,
    /// The workflow's time at the begin of this call, or of the attempt after a timer.
    called: SystemTime,
    state: LocalState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LocalState {
    /// The workflow has called the activity since it waited last. The worker has not received the call yet.
    Called,
    /// The worker runs the activity.
    Running,
    /// The worker runs the activity, which was cancelled.
    Cancelling,
    /// A timer runs until the next attempt.
    BackingOff,
    Closed,
}

impl LocalActivityOperation {
    /// Creates the operation of a call. `options` are merged from all places.
    pub(in crate::executor) fn new(
        task: LocalActivityTask,
        cancellation: ActivityCancellationType,
        summary: Option<String>,
    ) -> Self {
        let called = task.scheduled;
        Self { task: task.into(), cancellation, summary, called, state: LocalState::Called }
    }

    pub(in crate::executor) fn seq(&self) -> u32 {
        self.task.seq
    }

    pub(in crate::executor) fn summary(&self) -> Option<String> {
        self.summary.clone()
    }

    /// Hands the call to the worker, because the workflow waits. Returns `None` if the worker has the call.
    pub(in crate::executor) fn hand_over(&mut self) -> Option<Arc<LocalActivityTask>> {
        (self.state == LocalState::Called).then(|| {
            self.state = LocalState::Running;
            self.task.clone()
        })
    }

    /// The requests for a worker that has not received the call.
    pub(in crate::executor) fn requests(&self) -> impl Iterator<Item = LocalRequest> + use<> {
        let runs = matches!(self.state, LocalState::Running | LocalState::Cancelling);
        let start = runs.then(|| LocalRequest::Start(self.task.clone()));
        let cancel = (self.state == LocalState::Cancelling).then(|| LocalRequest::Cancel { seq: self.task.seq });
        start.into_iter().chain(cancel)
    }

    /// The request of a cancellation for which the workflow does not wait.
    pub(in crate::executor) fn leave(&self) -> LocalRequest {
        let seq = self.task.seq;
        match self.cancellation {
            ActivityCancellationType::Abandon => LocalRequest::Abandon { seq },
            _ => LocalRequest::Cancel { seq },
        }
    }

    /// The end in the workflow's time.
    pub(in crate::executor) fn time(&self, at: EndedAt) -> Option<SystemTime> {
        match at {
            EndedAt::After(elapsed) => self.called.checked_add(elapsed),
            EndedAt::Recorded(time) => time,
        }
    }

    /// Ends the activity. Returns the outcome, unless a timer must run before the next attempt.
    pub(in crate::executor) fn end(&mut self, ended: &LocalEnded) -> Option<Outcome> {
        if ended.backoff.is_some() && self.state == LocalState::Running {
            self.state = LocalState::BackingOff;
            return None;
        }
        self.state = LocalState::Closed;
        Some(self.outcome(ended.result.clone()))
    }

    /// Begins the attempt after a timer, with a new number.
    pub(in crate::executor) fn call_again(&mut self, seq: u32, attempt: u32, now: SystemTime) {
        let elapsed = now.duration_since(self.task.scheduled).unwrap_or_default();
        let before = LocalActivityTask::clone(&self.task);
        self.task = LocalActivityTask { seq, attempt, elapsed, ..before }.into();
        (self.called, self.state) = (now, LocalState::Called);
    }

    /// The identity of the marker for this end.
    pub(in crate::executor) fn command(&self) -> LocalActivityCommand {
        let LocalActivityTask { seq, activity_type, activity_id, .. } = &*self.task;
        LocalActivityCommand {
            seq: *seq,
            activity_type: (*activity_type).into(),
            activity_id: activity_id.as_str().into(),
        }
    }

    /// The marker for this end.
    pub(in crate::executor) fn marker(&self, ended: LocalEnded) -> CommandAttributes {
        let LocalActivityTask { seq, activity_type, activity_id, scheduled, .. } = &*self.task;
        let data = MarkerData {
            seq: *seq,
            attempt: ended.attempt,
            activity_id: activity_id.clone(),
            activity_type: (*activity_type).to_owned(),
            complete_time: self.time(ended.at).map(Seconds::since_epoch),
            backoff: ended.backoff.map(Seconds::of),
            original_schedule_time: Some(Seconds::since_epoch(*scheduled)),
        };
        CommandAttributes::RecordMarkerCommandAttributes(Marker { data, result: ended.result }.into_command())
    }

    /// The end of an activity that the workflow cancels without waiting for it. The clock does not move.
    pub(in crate::executor) fn ended_by_cancel(&self) -> LocalEnded {
        LocalEnded {
            seq: self.task.seq,
            attempt: self.task.attempt,
            result: Err(Failure::cancelled("cancelled by the workflow").into()),
            backoff: None,
            at: EndedAt::Recorded(None),
        }
    }

    fn cancelled(&self) -> Outcome {
        self.outcome(self.ended_by_cancel().result)
    }

    fn outcome(&self, result: Result<Option<raw::Payload>, Box<Failure>>) -> Outcome {
        Outcome::Returned(result.map_err(|failure| self.failure(*failure).into()))
    }

    /// The failure of the activity, around its cause. Other SDKs may have added one already.
    fn failure(&self, cause: Failure) -> Failure {
        let (message, retry_state) = match &cause.kind {
            FailureKind::Activity { .. } => return cause,
            FailureKind::Cancelled { .. } => ("the local activity was cancelled", RetryState::CancelRequested),
            FailureKind::Timeout { .. } => ("the local activity timed out", RetryState::Timeout),
            FailureKind::Application { non_retryable: true, .. } => {
                ("the local activity failed", RetryState::NonRetryableFailure)
            }
            _ => ("the local activity failed", RetryState::Unspecified),
        };
        let kind = FailureKind::Activity {
            activity_type: self.task.activity_type.to_owned(),
            activity_id: self.task.activity_id.clone(),
            retry_state,
            scheduled_event_id: 0,
            started_event_id: 0,
            identity: String::new(),
        };
        Failure::new(message, kind).caused_by(cause)
    }
}

impl LocalActivityTask {
    /// Creates the task of a call, with options from all places.
    pub(in crate::executor) fn of_call(
        request: LocalActivityRequest,
        seq: u32,
        scheduled: SystemTime,
        input: Vec<raw::Payload>,
        mut options: ActivityOptions,
        site: CallSite,
    ) -> Self {
        if options.start_to_close_timeout.is_none() && options.schedule_to_close_timeout.is_none() {
            options.start_to_close_timeout = Some(DEFAULT_START_TO_CLOSE_TIMEOUT);
        }
        Self {
            seq,
            activity_id: request.activity_id.unwrap_or_else(|| seq.to_string()),
            activity_type: request.activity_type,
            attempt: 1,
            scheduled,
            elapsed: Duration::ZERO,
            input,
            options,
            local_retry_threshold: request.local_retry_threshold.unwrap_or(DEFAULT_LOCAL_RETRY_THRESHOLD),
            site,
        }
    }
}

impl Machine for LocalActivityOperation {
    type Command = LocalActivityCommand;
    /// No event changes the operation: its marker is the event of a command.
    type Change = Infallible;

    fn read(event: EventAttributes) -> Result<Option<(Key, Infallible)>, EventAttributes> {
        Err(event)
    }

    fn unknown(key: &Key) -> String {
        format!("{key} is no local activity")
    }

    fn recorded(event: &EventAttributes) -> Option<LocalActivityCommand> {
        let EventAttributes::MarkerRecordedEventAttributes(marker) = event else { return None };
        let MarkerData { seq, activity_type, activity_id, .. } = Marker::data(marker)?;
        Some(LocalActivityCommand { seq, activity_type: activity_type.into(), activity_id: activity_id.into() })
    }

    fn confirmed(&mut self, _: i64) -> Option<Key> {
        None
    }

    fn apply(&mut self, change: Infallible) -> Result<Option<Outcome>, &'static str> {
        match change {}
    }

    fn cancel(&mut self) -> Cancel<LocalActivityCommand> {
        let state = self.state;
        match state {
            LocalState::Running if self.cancellation == ActivityCancellationType::WaitCancellationCompleted => {
                self.state = LocalState::Cancelling;
                return Cancel::Worker { outcome: None };
            }
            LocalState::Cancelling | LocalState::Closed => return Cancel::Nothing,
            LocalState::Called | LocalState::Running | LocalState::BackingOff => self.state = LocalState::Closed,
        }
        match state {
            LocalState::Running => Cancel::Worker { outcome: Some(self.cancelled()) },
            LocalState::Called => Cancel::Withdraw(self.cancelled()),
            _ => Cancel::GoOn(self.cancelled()),
        }
    }

    fn is_over(&self) -> bool {
        self.state == LocalState::Closed
    }

    fn describe(&self, site: CallSite) -> String {
        let LocalActivityTask { activity_type, activity_id, .. } = &*self.task;
        let between = if self.state == LocalState::BackingOff { ", between two attempts" } else { "" };
        format!("local activity {activity_type} (id {activity_id}{between}) at {site}")
    }
}
