//! Activity tasks from poll to answer.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use everloop_proto::temporal::api::workflowservice::v1 as wire;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use super::interceptor::WorkerInterceptor;
use super::link::{Link, LinkError};
use super::logging;
use super::observer::Observer;
use super::polling::{ServerState, StopPolling, poll};
use super::unsent::shortened;
use crate::activity::{ActivityCancelReason, ActivityContext, ActivityInfo, ContextSignals, Heartbeats, TaskToken};
use crate::client::{LONG_POLL, RpcCode, RpcError};
use crate::data::{Failure, FailureKind, Headers, Payloads, limit_from_wire};
use crate::errors::ActivityError;
use crate::executor::{Panic, catch, discard, listed};
use crate::notice::say_unless_heard;
use crate::raw;
use crate::registry::{RegisteredActivity, Registry};

/// How much of the heartbeat timeout may pass between two heartbeats that are sent.
const HEARTBEAT_SHARE: f64 = 0.8;
/// Between two heartbeats of an activity without heartbeat timeout.
const DEFAULT_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);
/// No interval is longer.
const LONGEST_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);
/// How many activities of one workflow task may start with its answer.
const EAGER_AT_ONCE: usize = 3;

/// Runs the activities of a worker.
pub(super) struct Activities {
    pub(super) link: Link,
    pub(super) registry: Arc<Registry>,
    pub(super) task_queue: String,
    /// Names this worker to the server.
    pub(super) instance_key: String,
    /// One for each activity that may run at the same time.
    pub(super) slots: Arc<Semaphore>,
    /// One for each that may block a thread.
    pub(super) blocking_slots: Arc<Semaphore>,
    pub(super) eager: bool,
    pub(super) server: Arc<ServerState>,
    pub(super) stop_polling: StopPolling,
    /// The worker begins to stop.
    pub(super) shutdown: CancellationToken,
    /// The graceful time is over.
    pub(super) cancel_all: CancellationToken,
    pub(super) running: TaskTracker,
    pub(super) max_per_second: Option<f64>,
    pub(super) interceptors: Arc<[Arc<dyn WorkerInterceptor>]>,
    pub(super) observer: Option<Arc<dyn Observer>>,
}

/// Slots that were put aside for activities that may come back with a task's answer.
#[derive(Default)]
pub(super) struct EagerSlots(Vec<OwnedSemaphorePermit>);

impl EagerSlots {
    /// The slot of one that came back.
    pub(super) fn slot(&mut self) -> Option<OwnedSemaphorePermit> {
        self.0.pop()
    }
}

impl Activities {
    /// Whether the worker polls for activities now.
    pub(super) fn polls(&self) -> bool {
        self.registry.has_activities()
    }

    pub(super) fn knows(&self, activity_type: &str) -> bool {
        self.registry.activity(activity_type).is_some()
    }

    /// Puts one more slot aside, if there is one.
    pub(super) fn reserve_eager(&self, reserved: &mut EagerSlots) -> bool {
        if !self.eager || reserved.0.len() == EAGER_AT_ONCE || self.stop_polling.begin.is_cancelled() {
            return false;
        }
        let slot = self.slots.clone().try_acquire_owned().ok();
        let has_one = slot.is_some();
        reserved.0.extend(slot);
        has_one
    }

    /// Polls activity tasks until the worker stops, once there are activities.
    pub(super) async fn poll_activity_tasks(self: Arc<Self>) -> Result<(), RpcError> {
        let request = wire::PollActivityTaskQueueRequest {
            namespace: self.link.namespace.clone(),
            task_queue: Some(raw::TaskQueue { name: self.task_queue.clone(), ..Default::default() }),
            identity: self.link.identity.clone(),
            worker_instance_key: self.instance_key.clone(),
            task_queue_metadata: self.max_per_second.map(|limit| {
                everloop_proto::temporal::api::taskqueue::v1::TaskQueueMetadata { max_tasks_per_second: Some(limit) }
            }),
            ..Default::default()
        };
        tokio::select! {
            () = self.stop_polling.begin.cancelled() => return Ok(()),
            () = self.registry.wait_for_activities() => {}
        }
        loop {
            let slot = tokio::select! {
                biased;
                () = self.stop_polling.begin.cancelled() => return Ok(()),
                slot = self.slots.clone().acquire_owned() => slot.ok(),
            };
            let attempt = || self.link.connection.once(request.clone(), LONG_POLL);
            let Some(task) = poll(&self.server, &self.stop_polling, attempt).await? else { return Ok(()) };
            if !task.task_token.is_empty() {
                self.start(task, slot);
            }
        }
    }

    /// Starts one activity, whose slot is its own until it ends.
    pub(super) fn start(
        self: &Arc<Self>,
        task: wire::PollActivityTaskQueueResponse,
        slot: Option<OwnedSemaphorePermit>,
    ) {
        let this = self.clone();
        // Boxed, because the runtime moves what it is given several times.
        self.running.spawn(Box::pin(async move {
            this.run(task).await;
            drop(slot);
        }));
    }

    async fn run(&self, mut task: wire::PollActivityTaskQueueResponse) {
        let token = std::mem::take(&mut task.task_token);
        let is_unbounded = task.retry_policy.as_ref().is_none_or(|policy| policy.maximum_attempts == 0);
        if let Err(error) = self.link.decode(&mut task).await {
            let info = self.info(&task, &token);
            let failure = Failure::application("PayloadCodecError", error.to_string());
            return self.report(&info, token, Ended::Failed(failure, None)).await;
        }
        let info = self.info(&task, &token);
        let input = task.input.take().map(|input| input.payloads).unwrap_or_default();
        let Some(activity) = self.registry.activity(&info.activity_type) else {
            let known = self.registry.activity_names();
            let message = format!(
                "the activity type `{}` is not registered with this worker, where there are: {}; register it, or call it with \
                 the task queue of a worker that has it",
                info.activity_type,
                listed(&known)
            );
            if info.attempt == 1 {
                say_unless_heard(|| format!("an activity of `{}` fails again and again: {message}", info.workflow_id));
            }
            let failure = Failure::application("ActivityNotRegistered", message);
            self.observe_failure(&info, is_unbounded, &failure);
            return self.report(&info, token, Ended::Failed(failure, None)).await;
        };
        let (cancel, cancelled) = watch::channel(None);
        let beats = Arc::new(Heartbeats::default());
        let signals = ContextSignals { cancelled, shutdown: self.shutdown.clone(), beats: beats.clone() };
        let last_details = Payloads::from_wire(task.heartbeat_details.take());
        let context = ActivityContext::new(info.clone(), last_details, signals);
        let started = catch(|| self.interceptors.iter().for_each(|interceptor| interceptor.activity_started(&info)));
        if let Err(panic) = started {
            return self.report(&info, token, Ended::Failed(panicked(panic).into_failure(), None)).await;
        }
        let span = logging::of_activity(&info);
        let body = self.body(activity, context.clone(), input, span);
        let mut last_sent = None;
        let ended = tokio::select! {
            ended = body => ended,
            // It only watches: what the activity makes of a cancellation is its own business. It ends an attempt whose
            // heartbeats cannot be sent.
            failed = self.watch(&info, &token, &cancel, &beats, &mut last_sent) => failed,
        };
        let failure = ended.as_ref().err().map(ActivityError::failure);
        let told =
            catch(|| self.interceptors.iter().rev().for_each(|interceptor| interceptor.activity_ended(&info, failure)));
        if let Err(panic) = told {
            // The attempt has its result, which counts.
            tracing::warn!(activity_type = info.activity_type, %panic, "an interceptor panicked after an activity");
        }
        if context.completes_elsewhere() {
            return;
        }
        let ended = match ended {
            Ok(result) => Ended::Completed(result),
            Err(error) if error.is_cancelled() && *cancel.borrow() == Some(ActivityCancelReason::Requested) => {
                Ended::Cancelled(error.into_failure())
            }
            // Details that have not been sent yet go along, for the next attempt.
            Err(error) => {
                self.observe_failure(&info, is_unbounded, error.failure());
                Ended::Failed(error.into_failure(), beats.take().or(last_sent))
            }
        };
        self.report(&info, token, ended).await;
    }

    /// Reports an attempt that failed, of an activity that may be tried for ever.
    fn observe_failure(&self, info: &ActivityInfo, is_unbounded: bool, failure: &Failure) {
        let is_final = matches!(failure.kind, FailureKind::Application { non_retryable: true, .. });
        if let Some(observer) = self.observer.as_ref().filter(|_| is_unbounded && !is_final) {
            observer.attempt_failed(info, failure);
        }
    }

    /// The activity's own code. Panics and undecodable inputs are failures of the attempt.
    async fn body(
        &self,
        activity: RegisteredActivity,
        context: ActivityContext,
        input: Vec<raw::Payload>,
        span: Span,
    ) -> Result<raw::Payload, ActivityError> {
        let RegisteredActivity { blocking, run } = activity;
        let context_of_wait = context.clone();
        let start = move || {
            run(context, &input).map_err(|cause| {
                let failure = Failure::application("DecodeError", cause.to_string());
                ActivityError::from(failure)
            })
        };
        if !blocking {
            let mut running = Guarded(Some(Box::pin(async move { start()?.await })));
            let caught = poll_fn(|cx| match catch(|| running.poll(cx)) {
                Ok(polled) => polled,
                Err(panic) => Poll::Ready(Err(panicked(panic))),
            });
            return caught.instrument(span).await;
        }
        // An attempt that is over must not begin late, beside the next one or after the worker's end.
        let wait = waiting_limit(context_of_wait.info());
        let begin_by = wait.and_then(|wait| Instant::now().checked_add(wait));
        let out_of_time = async {
            match begin_by {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let slot = tokio::select! {
            biased;
            reason = context_of_wait.cancelled() => return Err(not_begun(reason)),
            () = out_of_time => return Err(not_begun(ActivityCancelReason::TimedOut)),
            slot = self.blocking_slots.clone().acquire_owned() => slot,
        };
        let runtime = Handle::current();
        let thread = tokio::task::spawn_blocking(move || {
            // Threads may be scarce, too.
            let is_late = begin_by.is_some_and(|deadline| Instant::now() > deadline);
            let late = context_of_wait.cancel_reason().or(is_late.then_some(ActivityCancelReason::TimedOut));
            if let Some(reason) = late {
                return Err(not_begun(reason));
            }
            let result = span.in_scope(|| catch(|| runtime.block_on(async move { start()?.await })));
            drop(slot);
            result.unwrap_or_else(|panic| Err(panicked(panic)))
        });
        thread.await.unwrap_or_else(|error: JoinError| Err(ActivityError::new(error.to_string())))
    }

    /// Sends heartbeats and passes on cancellations, for as long as the activity runs.
    async fn watch(
        &self,
        info: &ActivityInfo,
        token: &bytes::Bytes,
        cancel: &watch::Sender<Option<ActivityCancelReason>>,
        beats: &Heartbeats,
        last_sent: &mut Option<Payloads>,
    ) -> Result<raw::Payload, ActivityError> {
        let interval = match info.heartbeat_timeout {
            Some(timeout) => timeout.mul_f64(HEARTBEAT_SHARE).min(LONGEST_HEARTBEAT_INTERVAL),
            None => DEFAULT_HEARTBEAT_INTERVAL,
        };
        let cancel_once = |reason: ActivityCancelReason| {
            cancel.send_if_modified(|known| {
                let is_new = known.is_none();
                known.get_or_insert(reason);
                is_new
            });
        };
        let heartbeats = async {
            loop {
                let details = beats.next().await;
                let sent = details.clone();
                match self.heartbeat(token, details).await {
                    Ok(Some(reason)) => cancel_once(reason),
                    Ok(None) => {}
                    Err(error) if error.is_unsendable() => {
                        // The attempt ends here; a thread that still runs it learns so.
                        cancel_once(ActivityCancelReason::NotFound);
                        break ActivityError::from(error.failure_of("the details of a heartbeat"));
                    }
                    Err(error) => tracing::debug!(%error, "a heartbeat was not sent"),
                }
                *last_sent = Some(sent);
                tokio::time::sleep(interval).await;
            }
        };
        let out_of_time = async {
            match attempt_limit(info) {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
            cancel_once(ActivityCancelReason::TimedOut);
            std::future::pending::<()>().await;
        };
        let stopping = async {
            self.cancel_all.cancelled().await;
            cancel_once(ActivityCancelReason::WorkerShutdown);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            error = heartbeats => return Err(error),
            () = out_of_time => {}
            () = stopping => {}
        }
        std::future::pending().await
    }

    /// Sends one heartbeat. Returns why the activity must stop, if the server says so.
    async fn heartbeat(
        &self,
        token: &bytes::Bytes,
        details: Payloads,
    ) -> Result<Option<ActivityCancelReason>, LinkError> {
        let mut request = wire::RecordActivityTaskHeartbeatRequest {
            task_token: token.clone(),
            details: details.into_wire(),
            identity: self.link.identity.clone(),
            namespace: self.link.namespace.clone(),
            ..Default::default()
        };
        let sent = async {
            self.link.encode(&mut request).await?;
            Ok::<_, LinkError>(self.link.connection.call(request).await?)
        };
        match sent.await {
            Ok(reply) => Ok(ActivityCancelReason::from_heartbeat(&reply)),
            Err(LinkError::Rpc(error)) if error.code == RpcCode::NotFound => Ok(Some(ActivityCancelReason::NotFound)),
            Err(error) => Err(error),
        }
    }

    async fn report(&self, info: &ActivityInfo, token: bytes::Bytes, ended: Ended) {
        let (failure, was_cancelled) = (ended.failure().cloned(), matches!(ended, Ended::Cancelled(_)));
        let sent = match self.send(info, token.clone(), ended).await {
            // Without a report the attempt would time out, and be tried again for ever.
            Err(error) if error.is_unsendable() => {
                let instead = match failure {
                    None => Ended::Failed(error.failure_of("the activity's result"), None),
                    Some(_) if was_cancelled => Ended::Cancelled(Failure::cancelled(format!(
                        "the activity was cancelled (the details cannot be sent: {error})"
                    ))),
                    Some(failure) => Ended::Failed(shortened(&failure, &error), None),
                };
                say_unless_heard(|| {
                    let ActivityInfo { activity_type, workflow_id, .. } = info;
                    format!("what the activity `{activity_type}` of `{workflow_id}` returned cannot be sent: {error}")
                });
                self.send(info, token, instead).await
            }
            sent => sent,
        };
        match sent {
            Ok(()) => {}
            Err(LinkError::Rpc(error)) if error.code == RpcCode::NotFound => {
                tracing::debug!(activity_type = info.activity_type, %error, "nobody waits for the activity any more");
            }
            Err(error) => tracing::warn!(
                activity_type = info.activity_type, activity_id = info.activity_id, workflow_id = info.workflow_id, %error,
                "the end of an activity could not be reported; its timeout will have it tried again"
            ),
        }
    }

    async fn send(&self, info: &ActivityInfo, task_token: bytes::Bytes, ended: Ended) -> Result<(), LinkError> {
        let Link { identity, namespace, .. } = self.link.clone();
        match ended {
            Ended::Completed(result) => {
                let mut request = wire::RespondActivityTaskCompletedRequest {
                    task_token,
                    result: Some(raw::Payloads { payloads: vec![result] }),
                    identity,
                    namespace,
                    ..Default::default()
                };
                self.link.encode(&mut request).await?;
                self.link.connection.call(request).await?;
            }
            Ended::Cancelled(failure) => {
                let mut request = wire::RespondActivityTaskCanceledRequest {
                    task_token,
                    details: failure.details().cloned().and_then(Payloads::into_wire),
                    identity,
                    namespace,
                    ..Default::default()
                };
                self.link.encode(&mut request).await?;
                self.link.connection.call(request).await?;
            }
            Ended::Failed(failure, details) => {
                let failure = reportable(failure);
                warn_failed(info, &failure);
                let mut request = wire::RespondActivityTaskFailedRequest {
                    task_token,
                    failure: Some(failure.into_wire()),
                    identity,
                    namespace,
                    last_heartbeat_details: details.and_then(Payloads::into_wire),
                    ..Default::default()
                };
                self.link.encode(&mut request).await?;
                self.link.connection.call(request).await?;
            }
        }
        Ok(())
    }

    fn info(&self, task: &wire::PollActivityTaskQueueResponse, token: &bytes::Bytes) -> ActivityInfo {
        let time = |time: Option<prost_types::Timestamp>| time.and_then(|time| time.try_into().ok());
        let execution = task.workflow_execution.clone().unwrap_or_default();
        ActivityInfo {
            namespace: task.workflow_namespace.clone(),
            activity_type: task.activity_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
            activity_id: task.activity_id.clone(),
            workflow_id: execution.workflow_id,
            run_id: execution.run_id,
            workflow_type: task.workflow_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
            task_queue: self.task_queue.clone(),
            attempt: task.attempt.max(1).unsigned_abs(),
            scheduled_time: time(task.scheduled_time),
            current_attempt_scheduled_time: time(task.current_attempt_scheduled_time),
            started_time: time(task.started_time),
            start_to_close_timeout: limit_from_wire(task.start_to_close_timeout),
            schedule_to_close_timeout: limit_from_wire(task.schedule_to_close_timeout),
            heartbeat_timeout: limit_from_wire(task.heartbeat_timeout),
            headers: Headers::from_wire(task.header.clone()),
            task_token: TaskToken(token.clone()),
        }
    }
}

/// How long the attempt may take, as far as its worker can tell.
fn attempt_limit(info: &ActivityInfo) -> Option<Duration> {
    let total = info.schedule_to_close_timeout.zip(info.scheduled_time).zip(info.started_time);
    let left = total.map(|((total, scheduled), started)| {
        total.saturating_sub(started.duration_since(scheduled).unwrap_or_default())
    });
    info.start_to_close_timeout.into_iter().chain(left).min()
}

/// How long the attempt may wait for its begin: until then it sends no heartbeats.
fn waiting_limit(info: &ActivityInfo) -> Option<Duration> {
    attempt_limit(info).into_iter().chain(info.heartbeat_timeout).min()
}

/// The failure of a blocking activity that found no thread in time.
fn not_begun(reason: ActivityCancelReason) -> ActivityError {
    let why = match reason {
        ActivityCancelReason::Requested => return ActivityError::cancelled(),
        ActivityCancelReason::WorkerShutdown => "the worker stopped before one of its threads was free",
        _ => {
            "the attempt expired before one of the worker's threads was free; raise \
             `max_concurrent_blocking_activities`, or the activity's timeouts"
        }
    };
    Failure::application("ActivityNotBegun", format!("the activity did not begin: {why}")).into()
}

enum Ended {
    Completed(raw::Payload),
    Cancelled(Failure),
    Failed(Failure, Option<Payloads>),
}

impl Ended {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Completed(_) => None,
            Self::Cancelled(failure) | Self::Failed(failure, _) => Some(failure),
        }
    }
}

/// A server takes application failures only: an unasked-for cancellation is one.
fn reportable(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::Application { .. } => failure,
        _ => {
            let outer = Failure::application("ActivityError", failure.message.clone());
            outer.caused_by(failure)
        }
    }
}

/// A future of user code, whose destructors may panic where it is dropped before it ended.
struct Guarded<F>(Option<Pin<Box<F>>>);

impl<F: Future> Guarded<F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.0.as_mut().expect("only its drop takes the future out").as_mut().poll(cx)
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        if let Err(panic) = discard(self.0.take()) {
            tracing::warn!(%panic, "an activity that was over panicked while it was dropped");
        }
    }
}

fn panicked(panic: Panic) -> ActivityError {
    let mut failure = Failure::application("Panic", panic.to_string());
    failure.stack_trace = panic.location.unwrap_or_default();
    ActivityError::from(failure)
}

fn warn_failed(info: &ActivityInfo, failure: &Failure) {
    let is_final = matches!(failure.kind, FailureKind::Application { non_retryable: true, .. });
    tracing::warn!(
        workflow_id = info.workflow_id, run_id = info.run_id, activity_type = info.activity_type,
        activity_id = info.activity_id, attempt = info.attempt, cause = %failure,
        "an activity attempt failed; {}",
        if is_final { "it is final" } else { "it is tried again as its retry policy says" }
    );
}
