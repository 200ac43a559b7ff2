//! Execution of workflow tasks on their threads, with the history that they need.

use std::sync::Arc;
use std::time::Duration;

use everloop_proto::temporal::api::enums::v1::WorkflowTaskFailedCause;
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::workflowservice::v1 as wire;
use tokio::sync::oneshot;

use super::identity::TaskIdentity;
use crate::data::{Failure, Headers};
use crate::executor::{Completion, RunOptions, Update, listed};
use crate::raw;
use crate::worker::jobs::{IdlePeriod, Job, JobReply, LocalNews, Query, QueryAnswers, Undo, WorkflowJob};
use crate::worker::link::Owner;
use crate::worker::local_activities::{Caller, CannotStart, LocalActivities};
use crate::worker::send_error::SendError;
use crate::worker::shell::Shell;
use crate::worker::threads::{RunningCode, Unavailable};

/// How much of its timeout a workflow task may use before it is completed, while local activities run.
const SHARE_OF_TASK_TIMEOUT: f64 = 0.8;
/// The timeout of a workflow task whose history does not say it.
const DEFAULT_TASK_TIMEOUT: Duration = Duration::from_secs(10);

/// The outcome of a workflow task, before it is sent to the server.
pub(super) enum TaskOutcome {
    Completed {
        completion: Completion,
        answers: QueryAnswers,
        idle_period: IdlePeriod,
    },
    Queried(QueryAnswers),
    Failed {
        cause: WorkflowTaskFailedCause,
        failure: Failure,
    },
    /// The server has ended the task already.
    Ended,
}

/// The outcome of a job.
enum JobOutcome {
    Done(Box<TaskOutcome>),
    /// No thread has the run: send the whole history.
    StartOver,
}

impl Shell {
    /// Executes a task on a workflow thread, and fetches the history that the thread requests.
    pub(super) async fn execute(
        &self,
        mut task: wire::PollWorkflowTaskQueueResponse,
        identity: &TaskIdentity,
        local: &mut LocalActivities,
    ) -> TaskOutcome {
        let fail = |message: String| TaskOutcome::Failed {
            cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure,
            failure: Failure::application("WorkerError", message),
        };
        if let Err(error) = self.link.decode(Owner::Workflow(&identity.workflow_id), &mut task).await {
            return fail(error.to_string());
        }
        let Some(definition) = self.registry.workflows.get(identity.workflow_type.as_str()) else {
            let known: Vec<_> = self.registry.workflows.keys().copied().collect();
            return fail(format!(
                "the workflow type `{}` is not registered with this worker, where there are: {}; register it, or start it on \
                 the task queue of a worker that has it",
                identity.workflow_type,
                listed(&known)
            ));
        };
        let mut updates = Vec::new();
        for message in &task.messages {
            match Update::from_message(message) {
                Some(Ok(update)) => updates.push(update),
                Some(Err(error)) => return fail(format!("message `{}` cannot be read: {error}", message.id)),
                None => return fail(format!("message `{}` is of a protocol that is not supported", message.id)),
            }
        }
        let mut events = task.history.take().unwrap_or_default().events;
        let mut page_token = std::mem::take(&mut task.next_page_token);
        loop {
            if let Some(observer) = &self.observer {
                observer.task_begins(&identity.workflow_id, &identity.run_id, definition, &events);
            }
            let job = Box::new(WorkflowJob {
                definition: definition.clone(),
                options: RunOptions {
                    namespace: self.link.namespace.clone(),
                    workflow_id: identity.workflow_id.clone(),
                    run_id: identity.run_id.to_string(),
                    activity_options: self.activity_options.clone(),
                    rules_supported: self.keeps_metadata,
                },
                events,
                more: !page_token.is_empty(),
                updates: updates.clone(),
                previous_started_event_id: task.previous_started_event_id,
                started_event_id: task.started_event_id,
                completes_task: task.query.is_none(),
                queries: queries(&task),
            });
            let run_id = identity.run_id.clone();
            match self.work(&run_id, job, page_token, identity, local).await {
                Ok(JobOutcome::Done(outcome)) => return *outcome,
                Ok(JobOutcome::StartOver) => match self.page(identity, Default::default()).await {
                    Ok((first, next)) => (events, page_token) = (first, next),
                    Err(error) => return fail(format!("its history cannot be fetched: {error}")),
                },
                Err(error) => {
                    self.threads.send(&run_id, Job::GiveUp { run_id: run_id.clone() });
                    return fail(format!("its history cannot be fetched: {error}"));
                }
            }
        }
    }

    /// Sends one job and its pages to the thread that owns the run.
    async fn work(
        &self,
        run_id: &Arc<str>,
        job: Box<WorkflowJob>,
        mut page_token: bytes::Bytes,
        identity: &TaskIdentity,
        local: &mut LocalActivities,
    ) -> Result<JobOutcome, SendError> {
        let thread = match self.threads.of_run(run_id) {
            Ok(thread) => thread,
            Err(unavailable) => return Ok(JobOutcome::Done(no_thread(&unavailable).into())),
        };
        let (sender, mut reply) = oneshot::channel();
        thread.send(Job::Work { run_id: run_id.clone(), job, reply: sender });
        loop {
            let received = tokio::select! {
                biased;
                received = &mut reply => received.ok(),
                () = thread.lost.cancelled() => None,
            };
            match received {
                Some(JobReply::Completed { completion, answers, idle_period }) => {
                    return Ok(JobOutcome::Done(TaskOutcome::Completed { completion, answers, idle_period }.into()));
                }
                Some(JobReply::Queried(answers)) => {
                    return Ok(JobOutcome::Done(TaskOutcome::Queried(answers).into()));
                }
                Some(JobReply::Failed(failure)) => {
                    let (cause, failure) = (failure.cause(), failure.to_failure());
                    return Ok(JobOutcome::Done(TaskOutcome::Failed { cause, failure }.into()));
                }
                Some(JobReply::Ended) => return Ok(JobOutcome::Done(TaskOutcome::Ended.into())),
                Some(JobReply::CacheMiss) => return Ok(JobOutcome::StartOver),
                Some(JobReply::NeedHistory) => {
                    let (events, next) = self.page(identity, page_token).await?;
                    let more = !next.is_empty();
                    page_token = next;
                    let (sender, next_reply) = oneshot::channel();
                    reply = next_reply;
                    thread.send(Job::Page { run_id: run_id.clone(), events, more, reply: sender });
                }
                Some(JobReply::WaitsForLocal { requests, headers, task_timeout, pause }) => {
                    let caller = Caller {
                        workflow_id: identity.workflow_id.clone(),
                        run_id: run_id.clone(),
                        workflow_type: identity.workflow_type.clone(),
                        headers,
                    };
                    if let Err(CannotStart { error_type, message }) = local.take(requests, &caller) {
                        thread.send(Job::GiveUp { run_id: run_id.clone() });
                        let cause = WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure;
                        let failure = Failure::application(error_type, message);
                        return Ok(JobOutcome::Done(TaskOutcome::Failed { cause, failure }.into()));
                    }
                    let share = task_timeout.unwrap_or(DEFAULT_TASK_TIMEOUT).mul_f64(SHARE_OF_TASK_TIMEOUT);
                    let (sender, next_reply) = oneshot::channel();
                    reply = next_reply;
                    let news = tokio::select! {
                        biased;
                        // Nobody waits for the reply: the thread is replaced.
                        () = thread.lost.cancelled() => continue,
                        // Before results, or a workflow that calls one after the other would never complete its task.
                        () = tokio::time::sleep_until(identity.received + share) => LocalNews::CompleteEarly,
                        () = self.activities.cancel_all.cancelled() => LocalNews::CompleteEarly,
                        ended = local.ended() => LocalNews::Ended(ended),
                    };
                    thread.send(Job::GoOn { run_id: run_id.clone(), pause, news, reply: sender });
                }
                None => {
                    // The thread was abandoned, perhaps because of this run's code.
                    return Ok(match thread.blamed(run_id) {
                        Some(code) => JobOutcome::Done(deadlocked(code).into()),
                        None => JobOutcome::StartOver,
                    });
                }
            }
        }
    }

    /// Fetches a page of a run's history.
    async fn page(
        &self,
        identity: &TaskIdentity,
        page_token: bytes::Bytes,
    ) -> Result<(Vec<HistoryEvent>, bytes::Bytes), SendError> {
        let request = wire::GetWorkflowExecutionHistoryRequest {
            namespace: self.link.namespace.clone(),
            execution: Some(raw::WorkflowExecution {
                workflow_id: identity.workflow_id.clone(),
                run_id: identity.run_id.to_string(),
            }),
            next_page_token: page_token,
            ..Default::default()
        };
        let reply = self.link.connection.call(request).await?;
        let mut events = reply.history.unwrap_or_default().events;
        self.link.decode(Owner::Workflow(&identity.workflow_id), &mut events).await?;
        Ok((events, reply.next_page_token))
    }

    pub(super) fn undo(&self, run_id: &Arc<str>, idle_period: IdlePeriod, undo: Undo) {
        self.threads.send(run_id, Job::Undo { run_id: run_id.clone(), idle_period, undo });
    }
}

fn queries(task: &wire::PollWorkflowTaskQueueResponse) -> Vec<Query> {
    let alone = task.query.iter().map(|query| (String::new(), query.clone()));
    let attached = task.queries.iter().map(|(id, query)| (id.clone(), query.clone()));
    alone
        .chain(attached)
        .map(|(id, query)| Query {
            id,
            name: query.query_type,
            input: query.query_args.map(|args| args.payloads).unwrap_or_default(),
            headers: Headers::from_wire(query.header),
        })
        .collect()
}

fn deadlocked(code: &RunningCode) -> TaskOutcome {
    let (elapsed, after) = (code.since.elapsed(), code.at_line());
    failed_by_thread(format!(
        "the workflow's code ran for {elapsed:.1?} without waiting for anything: it blocks its thread, or computes too long; \
         move that into an activity{after}"
    ))
}

fn no_thread(unavailable: &Unavailable) -> TaskOutcome {
    failed_by_thread(match unavailable {
        Unavailable::Blocked(code) => format!(
            "the workflow's code has blocked its thread for {:.0?}, and is not executed again before it comes back: move what \
             blocks into an activity, and restart the worker with that{}",
            code.since.elapsed(),
            code.at_line()
        ),
        Unavailable::NoThread => {
            "the system gives no thread in place of one that workflow code has blocked: restart the \
                                  worker, or give its process more threads"
                .to_owned()
        }
    })
}

fn failed_by_thread(message: String) -> TaskOutcome {
    TaskOutcome::Failed {
        cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure,
        failure: Failure::application("DeadlockDetected", message),
    }
}
