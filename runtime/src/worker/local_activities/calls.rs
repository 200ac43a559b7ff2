//! The local activities of one run.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::attempt::{cancellation, tell};
use super::retry::{Next, next_attempt};
use crate::activity::{ActivityCancelReason, ActivityInfo};
use crate::data::{Failure, Headers};
use crate::executor::{EndedAt, LocalActivityTask, LocalEnded, LocalRequest, Panic, catch, listed};
use crate::worker::activity_tasks::ActivityRunner;
use crate::worker::outgoing::{OutgoingCommand, OutgoingKind, local_headers};

/// The local activities of one run, while its workflow tasks follow each other without a gap.
///
/// They continue when the run is evicted and rebuilt meanwhile. When this value is dropped, the activities are cancelled,
/// because their results are not needed any more.
pub(crate) struct LocalActivities {
    runner: Arc<ActivityRunner>,
    running: HashMap<u32, watch::Sender<Option<ActivityCancelReason>>>,
    ended: mpsc::UnboundedReceiver<LocalEnded>,
    sender: mpsc::UnboundedSender<LocalEnded>,
}

/// The calling workflow.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) workflow_id: String,
    pub(crate) run_id: Arc<str>,
    pub(crate) workflow_type: String,
    /// The headers of the workflow's start, or those for an activity.
    pub(crate) headers: Headers,
}

/// The reason why a local activity cannot start: the workflow task fails.
pub(crate) struct CannotStart {
    pub(crate) error_type: &'static str,
    pub(crate) message: String,
}

impl LocalActivities {
    pub(crate) fn new(runner: Arc<ActivityRunner>) -> Self {
        let (sender, ended) = mpsc::unbounded_channel();
        Self { runner, running: HashMap::new(), ended, sender }
    }

    /// Carries out the run's requests. Activities that are running already continue.
    pub(crate) fn take(&mut self, requests: Vec<LocalRequest>, caller: &Caller) -> Result<(), CannotStart> {
        for request in requests {
            match request {
                LocalRequest::Start(task) => self.start(task, caller)?,
                LocalRequest::Cancel { seq } => {
                    if let Some(cancel) = self.running.get(&seq) {
                        tell(cancel, ActivityCancelReason::Requested);
                    }
                }
                LocalRequest::Abandon { seq } => drop(self.running.remove(&seq)),
            }
        }
        Ok(())
    }

    /// Waits for activities to end.
    pub(crate) async fn ended(&mut self) -> Vec<LocalEnded> {
        let mut all = Vec::new();
        all.extend(self.ended.recv().await);
        while let Ok(next) = self.ended.try_recv() {
            all.push(next);
        }
        for ended in &all {
            self.running.remove(&ended.seq);
        }
        all
    }

    fn start(&mut self, task: Arc<LocalActivityTask>, caller: &Caller) -> Result<(), CannotStart> {
        if self.running.contains_key(&task.seq) {
            return Ok(());
        }
        if !self.runner.knows(task.activity_type) {
            let known = self.runner.registry.activity_names();
            return Err(CannotStart {
                error_type: "ActivityNotRegistered",
                message: format!(
                    "the local activity `{}`, called at {}, is not registered with this worker, where there are: {}; local \
                     activities run in the worker of their workflow: register it there, or call it without `local()`",
                    task.activity_type,
                    task.site,
                    listed(&known)
                ),
            });
        }
        let caller = Caller { headers: self.headers(&task, caller)?, ..caller.clone() };
        let (cancel, cancelled) = watch::channel(None);
        self.running.insert(task.seq, cancel);
        let (runner, sender) = (self.runner.clone(), self.sender.clone());
        // Boxed, because the runtime moves a spawned future several times.
        self.runner.running.spawn(Box::pin(async move {
            let ended = runner.run_local(&task, &caller, cancelled).await;
            // There is no receiver if the run has continued or was dropped.
            let _unheard = sender.send(ended);
        }));
        Ok(())
    }
}

impl LocalActivities {
    /// The headers of an activity, with those of interceptors.
    fn headers(&self, task: &LocalActivityTask, caller: &Caller) -> Result<Headers, CannotStart> {
        let kind = OutgoingKind::Activity {
            activity_type: task.activity_type,
            activity_id: &task.activity_id,
            task_queue: &self.runner.task_queue,
        };
        let see = |command: &mut OutgoingCommand<'_>| {
            self.runner.interceptors.iter().for_each(|interceptor| interceptor.see_outgoing(command));
        };
        let called = catch(|| local_headers(kind, &caller.headers, see));
        let failed = |panic: Panic| {
            let message = format!("an interceptor of the worker panicked before a local activity: {panic}");
            CannotStart { error_type: "Panic", message }
        };
        called.map_err(failed)
    }
}

impl Drop for LocalActivities {
    fn drop(&mut self) {
        let reason = match self.runner.cancel_all.is_cancelled() {
            true => ActivityCancelReason::WorkerShutdown,
            false => ActivityCancelReason::AttemptOver,
        };
        self.running.values().for_each(|cancel| tell(cancel, reason));
    }
}

impl ActivityRunner {
    /// Runs a local activity until it has ended, or until the wait for its next attempt is so long that a timer replaces it.
    async fn run_local(
        self: &Arc<Self>,
        task: &LocalActivityTask,
        caller: &Caller,
        mut cancelled: watch::Receiver<Option<ActivityCancelReason>>,
    ) -> LocalEnded {
        let started = Instant::now();
        let left = || {
            let limit = task.options.schedule_to_close_timeout;
            limit.map(|limit| limit.saturating_sub(task.elapsed.saturating_add(started.elapsed())))
        };
        let mut attempt = task.attempt;
        let (result, backoff) = loop {
            let info = self.local_info(task, caller, attempt, started);
            let failure = match self.attempt_locally(task, info, left(), &mut cancelled).await {
                Ok(result) => break (Ok(Some(result)), None),
                Err(failure) => failure,
            };
            match next_attempt(&task.options, attempt, &failure, left()) {
                Next::None => break (Err(failure.into()), None),
                Next::After(wait) if self.backoffs_are_timers || wait > task.local_retry_threshold => {
                    break (Err(failure.into()), Some(wait));
                }
                Next::After(wait) => tokio::select! {
                    () = tokio::time::sleep(wait) => attempt += 1,
                    _ = cancellation(&mut cancelled) => {
                        break (Err(Failure::cancelled("cancelled between two attempts").into()), None);
                    }
                },
            }
        };
        LocalEnded { seq: task.seq, attempt, result, backoff, at: EndedAt::After(started.elapsed()) }
    }

    fn local_info(&self, task: &LocalActivityTask, caller: &Caller, attempt: u32, started: Instant) -> ActivityInfo {
        // In the workflow's time, which differs from the worker's clock.
        let started_time = task.scheduled.checked_add(task.elapsed.saturating_add(started.elapsed()));
        ActivityInfo {
            namespace: self.link.namespace.clone(),
            activity_type: task.activity_type.to_owned(),
            activity_id: task.activity_id.clone(),
            workflow_id: caller.workflow_id.clone(),
            run_id: caller.run_id.to_string(),
            workflow_type: caller.workflow_type.clone(),
            task_queue: self.task_queue.clone(),
            attempt,
            scheduled_time: Some(task.scheduled),
            current_attempt_scheduled_time: started_time,
            started_time,
            start_to_close_timeout: task.options.start_to_close_timeout,
            schedule_to_close_timeout: task.options.schedule_to_close_timeout,
            is_local: true,
            headers: caller.headers.clone(),
            ..ActivityInfo::default()
        }
    }
}
