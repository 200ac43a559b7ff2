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
/// An activity gets it as a parameter that is a reference: `ctx: &ActivityContext`. It can be cloned and given to tasks.
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
    /// The namespace of its workflow.
    pub namespace: String,
    /// Its type's name.
    pub activity_type: String,
    /// Its id in the workflow.
    pub activity_id: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run of the workflow.
    pub run_id: String,
    /// The workflow's type.
    pub workflow_type: String,
    /// The task queue that it was polled from.
    pub task_queue: String,
    /// Counted from 1.
    pub attempt: u32,
    /// When the workflow scheduled it.
    pub scheduled_time: Option<SystemTime>,
    /// When this attempt was scheduled.
    pub current_attempt_scheduled_time: Option<SystemTime>,
    /// When this attempt started.
    pub started_time: Option<SystemTime>,
    /// The limit of this attempt.
    pub start_to_close_timeout: Option<Duration>,
    /// The limit of all attempts together.
    pub schedule_to_close_timeout: Option<Duration>,
    /// How long it may be silent.
    pub heartbeat_timeout: Option<Duration>,
    /// Whether the workflow's own worker runs it, within the workflow task: see [`ActivityCall::local`](crate::ActivityCall::local).
    pub is_local: bool,
    /// Headers of the call.
    pub headers: Headers,
    /// Identifies the attempt for a program that completes it from elsewhere: see [`ActivityContext::complete_later`].
    pub task_token: TaskToken,
}

/// The reason why an activity should stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActivityCancelReason {
    /// The workflow asked for it: return [`ActivityError::cancelled`](crate::ActivityError::cancelled), and it ends as cancelled.
    Requested,
    /// The workflow has ended: nobody waits for the result.
    WorkflowGone,
    /// The server waits for no result of this attempt any more: another program completed the activity, or the attempt has timed out.
    AttemptOver,
    /// A time limit has passed: that of the attempt, that of the activity, or the heartbeat timeout, because none was sent or none
    /// reached the server. The next attempt may run already.
    TimedOut,
    /// Somebody paused the activity. Return an error: the next attempt begins when the activity is unpaused.
    Paused,
    /// Somebody reset the activity. Return an error: the next attempt is the first again.
    Reset,
    /// The worker stops, and its graceful time is over. Return an error: the next attempt runs on another worker.
    WorkerShutdown,
}

impl ActivityCancelReason {
    /// The reason why the server has no such attempt. Servers tell the two apart by the message alone.
    pub(crate) fn from_not_found(message: &str) -> Self {
        match message.to_lowercase().contains("activity") {
            true => Self::AttemptOver,
            false => Self::WorkflowGone,
        }
    }

    /// The reason that the answer to a heartbeat gives by its flags.
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
    /// A heartbeat is also how an activity learns of its cancellation.
    ///
    /// Call it as often as you like; it is sent when 80 % of the heartbeat timeout have passed since the last one, or every
    /// 30 s if there is no such timeout.
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
    /// `None` if there are none; an error if they are of another type.
    pub fn heartbeat_details<T: Payload>(&self) -> Option<Result<T, String>> {
        self.inner.last_details.get(0)
    }

    /// The progress of the activity: what earlier attempts recorded, and where this one records its own. One type for both, so that
    /// the next attempt reads what this one writes.
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
    /// If what was recorded is of another type, as after a change of the program. With `?` the attempt fails; to begin again from
    /// the start, record a value with [`heartbeat`](Self::heartbeat) first, in an attempt that catches the error.
    pub fn progress<T: Payload>(&self) -> Result<Progress<T>, DecodeError> {
        let last = match self.inner.beats.latest() {
            Some(recorded) => recorded.get(0),
            None => self.inner.last_details.get(0),
        };
        let last = last.transpose().map_err(DecodeError::Progress)?;
        Ok(Progress::new(last, self.inner.beats.clone()))
    }

    /// Whether the activity should stop. Undo what has been done so far if needed; then return
    /// [`ActivityError::cancelled`](crate::ActivityError::cancelled).
    pub fn is_cancelled(&self) -> bool {
        self.cancel_reason().is_some()
    }

    /// The reason why the activity should stop; `None` while it may go on.
    pub fn cancel_reason(&self) -> Option<ActivityCancelReason> {
        *self.inner.cancelled.borrow()
    }

    /// Waits until the activity should stop, and returns the reason. Meant for `tokio::select!`.
    pub async fn cancelled(&self) -> ActivityCancelReason {
        let mut cancelled = self.inner.cancelled.clone();
        let reason = cancelled.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
        match reason {
            Some(reason) => reason,
            // Nobody is left who could cancel it.
            None => std::future::pending().await,
        }
    }

    /// Waits until the worker begins to stop. The activity still has the worker's graceful time to end.
    pub async fn worker_shutdown(&self) {
        self.inner.shutdown.cancelled().await;
    }

    /// Leaves the end of the activity to another program: to one that is called back, or to a person. Return it as the error:
    /// the attempt goes on without this function, and gives its place in the worker free.
    ///
    /// The other program calls [`Client::activity_handle`](crate::Client::activity_handle) with the
    /// [`task_token`](ActivityInfo::task_token), or with the ids of workflow and activity. The activity's time limits go on: let the
    /// other program send heartbeats if there is a heartbeat timeout, and give `start_to_close_timeout` the time that the answer may
    /// take. Such an activity returns [`ActivityResult`](crate::ActivityResult), and an error that its callers match as
    /// [`ActivityError::typed`](crate::ActivityError::typed).
    ///
    /// ```
    /// use everloop::activity::TaskToken;
    /// use everloop::prelude::*;
    ///
    /// /// Whether the expense is approved, by a person who is sent a link.
    /// #[activity(start_to_close_timeout = "7days")]
    /// async fn approve(ctx: &ActivityContext, expense: u64) -> ActivityResult<bool> {
    ///     send_mail(format!("https://shop.example/approve/{}?expense={expense}", ctx.info().task_token)).await?;
    ///     Err(ctx.complete_later())
    /// }
    ///
    /// /// The link was followed. Another type than `bool` would not compile.
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
    /// The parameter, made from the context of the attempt.
    fn context(context: &ActivityContext) -> &Self;
}
impl Context for ActivityContext {
    fn context(context: &ActivityContext) -> &Self {
        context
    }
}
