//! The context of an activity: a description of the attempt, its heartbeats and its cancellation.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::heartbeats::{Heartbeats, Progress};
use super::task_token::TaskToken;
use crate::data::{DecodeError, EncodeError, Headers, Payload, Payloads};
use crate::errors::ActivityError;

/// The context of a running activity: its info, its heartbeats, and its cancellation.
///
/// An activity receives its context as a parameter that is a reference: `ctx: &ActivityContext`. Clones can be passed to tasks.
#[derive(Clone)]
pub struct ActivityContext {
    inner: Arc<Inner>,
}

struct Inner {
    info: ActivityInfo,
    last_details: Payloads,
    cancelled: watch::Receiver<Option<ActivityCancelReason>>,
    shutdown: CancellationToken,
    beats: Arc<Heartbeats>,
}

/// The activity and its attempt.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ActivityInfo {
    /// The namespace of the workflow.
    pub namespace: String,
    /// The name of the activity's type.
    pub activity_type: String,
    /// The activity's id in the workflow.
    pub activity_id: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run of the workflow.
    pub run_id: String,
    /// The workflow's type.
    pub workflow_type: String,
    /// The task queue of the activity task.
    pub task_queue: String,
    /// The attempt, counted from 1.
    pub attempt: u32,
    /// The time at which the workflow scheduled the activity.
    pub scheduled_time: Option<SystemTime>,
    /// The time at which this attempt was scheduled.
    pub current_attempt_scheduled_time: Option<SystemTime>,
    /// The time at which this attempt started.
    pub started_time: Option<SystemTime>,
    /// The time limit of this attempt.
    pub start_to_close_timeout: Option<Duration>,
    /// The time limit of all attempts together.
    pub schedule_to_close_timeout: Option<Duration>,
    /// The longest time between heartbeats.
    pub heartbeat_timeout: Option<Duration>,
    /// Whether this is a local activity, which the workflow's own worker runs within the workflow task: see
    /// [`ActivityCall::local`](crate::ActivityCall::local).
    pub is_local: bool,
    /// Headers of the call.
    pub headers: Headers,
    /// Identifies the attempt for another program that completes it: see [`ActivityContext::complete_later`].
    pub task_token: TaskToken,
}

/// The reason why an activity should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActivityCancelReason {
    /// The workflow requested the cancellation. Return [`ActivityError::cancelled`](crate::ActivityError::cancelled) to end the
    /// activity as cancelled.
    Requested,
    /// The workflow has ended, and does not need the result.
    WorkflowGone,
    /// The server accepts no result of this attempt any more: another program completed the activity, or the attempt has timed
    /// out.
    AttemptOver,
    /// A time limit has passed: that of the attempt, that of the activity, or the heartbeat timeout, because no heartbeat was sent
    /// or reached the server. The next attempt may run already.
    TimedOut,
    /// The activity was paused. Return an error: the next attempt begins when the activity is unpaused.
    Paused,
    /// The activity was reset. Return an error: the next attempt is the first again.
    Reset,
    /// The worker stops, and its graceful shutdown timeout is over. Return an error: the next attempt runs on another worker.
    WorkerShutdown,
}

impl ActivityCancelReason {
    /// The reason why the server has no such attempt. In the server's response, only the message distinguishes the reasons.
    pub(crate) fn from_not_found(message: &str) -> Self {
        match message.to_lowercase().contains("activity") {
            true => Self::AttemptOver,
            false => Self::WorkflowGone,
        }
    }

    /// The reason in the flags of the response to a heartbeat.
    pub(crate) fn from_flags(cancel_requested: bool, activity_paused: bool, activity_reset: bool) -> Option<Self> {
        match (cancel_requested, activity_paused, activity_reset) {
            (true, _, _) => Some(Self::Requested),
            (_, true, _) => Some(Self::Paused),
            (_, _, true) => Some(Self::Reset),
            _ => None,
        }
    }
}

impl fmt::Display for ActivityCancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "cancelled by the workflow",
            Self::WorkflowGone => "its workflow has ended",
            Self::AttemptOver => "the server waits for it no longer",
            Self::TimedOut => "out of time",
            Self::Paused => "paused",
            Self::Reset => "reset",
            Self::WorkerShutdown => "stopped with its worker",
        })
    }
}

impl ActivityContext {
    pub(crate) fn new(info: ActivityInfo, last_details: Payloads, signals: ContextSignals) -> Self {
        let ContextSignals { cancelled, shutdown, beats } = signals;
        Self { inner: Arc::new(Inner { info, last_details, cancelled, shutdown, beats }) }
    }

    /// The activity and its attempt.
    pub fn info(&self) -> &ActivityInfo {
        &self.inner.info
    }

    /// Reports to the server that the attempt is alive, with its progress: if it fails, the next attempt can read the details.
    /// The response to a heartbeat delivers a cancellation of the activity.
    ///
    /// The method may be called at any rate: a heartbeat is sent when 80 % of the heartbeat timeout have passed since the last
    /// one, or every 30 s if there is no such timeout.
    ///
    /// # Errors
    /// If the details cannot be serialized.
    pub fn heartbeat<T: Serialize + 'static>(&self, details: T) -> Result<(), EncodeError> {
        let details = Payloads::of(&details).map_err(|error| error.of("the details of a heartbeat"))?;
        self.inner.beats.record(details);
        Ok(())
    }

    /// The details that the last heartbeat of an earlier attempt recorded.
    ///
    /// `None` if there are no details; an error if they have another type.
    pub fn heartbeat_details<T: Payload>(&self) -> Option<Result<T, String>> {
        self.inner.last_details.get(0)
    }

    /// The progress of the activity: the last record of earlier attempts, and a method to record that of this one. Both have the
    /// same type, so that the next attempt can read the records of this one.
    ///
    /// ```
    /// use everloop::prelude::*;
    ///
    /// #[activity(start_to_close_timeout = "1h", heartbeat_timeout = "30s")]
    /// async fn import(ctx: &ActivityContext, rows: Vec<String>) -> ActivityResult<()> {
    ///     let mut progress = ctx.progress::<usize>()?;
    ///     let done = progress.last().copied().unwrap_or_default();
    ///     for (index, row) in rows.iter().enumerate().skip(done) {
    ///         insert(row).await?;
    ///         progress.record(index + 1)?;
    ///     }
    ///     Ok(())
    /// }
    /// # async fn insert(_: &str) -> Result<(), std::io::Error> { Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the last record has another type, as after a change of the program. With `?` the attempt fails. To start over, catch
    /// the error, record a value with [`heartbeat`](Self::heartbeat), and call this method again.
    pub fn progress<T: Payload>(&self) -> Result<Progress<T>, DecodeError> {
        let last = match self.inner.beats.latest() {
            Some(recorded) => recorded.get(0),
            None => self.inner.last_details.get(0),
        };
        let last = last.transpose().map_err(DecodeError::Progress)?;
        Ok(Progress::new(last, self.inner.beats.clone()))
    }

    /// Whether the activity should stop. If so, undo its effects if needed, then return
    /// [`ActivityError::cancelled`](crate::ActivityError::cancelled).
    pub fn is_cancelled(&self) -> bool {
        self.cancel_reason().is_some()
    }

    /// The reason why the activity should stop; `None` while it may continue.
    pub fn cancel_reason(&self) -> Option<ActivityCancelReason> {
        *self.inner.cancelled.borrow()
    }

    /// Waits until the activity should stop, and returns the reason. Meant for `tokio::select!`.
    pub async fn cancelled(&self) -> ActivityCancelReason {
        let mut cancelled = self.inner.cancelled.clone();
        let reason = cancelled.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
        match reason {
            Some(reason) => reason,
            // The sender is gone, so no cancellation can come.
            None => std::future::pending().await,
        }
    }

    /// Waits until the worker begins to stop. The activity has the time of the worker's graceful shutdown timeout to end.
    pub async fn worker_shutdown(&self) {
        self.inner.shutdown.cancelled().await;
    }

    /// Returns the error with which an activity's function leaves its completion to another program, for example a web page for
    /// a person. When the function returns this error, the attempt stays open and does not use a slot of the worker any more.
    ///
    /// The other program calls [`Client::activity_handle`](crate::Client::activity_handle) with the
    /// [`task_token`](ActivityInfo::task_token), or with the ids of workflow and activity. The activity's time limits still apply:
    /// the other program must send heartbeats if there is a heartbeat timeout, and `start_to_close_timeout` must allow for the
    /// time until the completion. Such an activity returns [`ActivityResult`](crate::ActivityResult); an error that its callers
    /// match is returned by [`ActivityError::typed`](crate::ActivityError::typed).
    ///
    /// ```
    /// use everloop::activity::TaskToken;
    /// use everloop::prelude::*;
    ///
    /// /// Sends a link to a person who approves the expense or not.
    /// #[activity(start_to_close_timeout = "7days")]
    /// async fn approve(ctx: &ActivityContext, expense: u64) -> ActivityResult<bool> {
    ///     send_mail(format!("https://shop.example/approve/{}?expense={expense}", ctx.info().task_token)).await?;
    ///     Err(ctx.complete_later())
    /// }
    ///
    /// /// Handles a click on the link. Another type than `bool` would not compile.
    /// async fn approved(client: &Client, token: &str) -> Result<(), Box<dyn std::error::Error>> {
    ///     let token: TaskToken = token.parse()?;
    ///     client.activity_handle(approve, token).complete(true).await?;
    ///     Ok(())
    /// }
    /// # async fn send_mail(_: String) -> Result<(), std::io::Error> { Ok(()) }
    /// ```
    #[must_use = "it is an error to return: `return Err(ctx.complete_later())`"]
    pub fn complete_later(&self) -> ActivityError {
        ActivityError::completes_elsewhere()
    }
}

impl fmt::Debug for ActivityContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityContext").field("info", self.info()).finish_non_exhaustive()
    }
}

/// The signals to a running activity, and its heartbeats.
pub(crate) struct ContextSignals {
    pub(crate) cancelled: watch::Receiver<Option<ActivityCancelReason>>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) beats: Arc<Heartbeats>,
}

/// A parameter that is a reference.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` cannot be an input",
    label = "expected `&ActivityContext` or an owned type",
    note = "inputs are owned (`String`, not `&str`); the only reference an activity takes is its context"
)]
pub trait Context {
    /// Converts the context of the attempt into the parameter.
    fn context(context: &ActivityContext) -> &Self;
}
impl Context for ActivityContext {
    fn context(context: &ActivityContext) -> &Self {
        context
    }
}
