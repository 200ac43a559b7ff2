//! Workflow tasks from poll to answer.

use std::sync::Arc;
use std::time::Duration;

use everloop_proto::temporal::api::command::v1::Command;
use everloop_proto::temporal::api::command::v1::command::Attributes;
use everloop_proto::temporal::api::enums::v1::{QueryResultType, TaskQueueKind, WorkflowTaskFailedCause};
use everloop_proto::temporal::api::query::v1::WorkflowQueryResult;
use everloop_proto::temporal::api::sdk::v1::WorkflowTaskCompletedMetadata;
use everloop_proto::temporal::api::taskqueue::v1::StickyExecutionAttributes;
use everloop_proto::temporal::api::workflowservice::v1 as wire;
use tokio::sync::oneshot;

use super::activities::EagerSlots;
use super::interceptor::CallingWorkflow;
use super::jobs::{Answer, Job, Query, QueryAnswers, Turn, Undo, WorkflowJob};
use super::link::LinkError;
use super::polling::poll;
use super::shell::Shell;
use super::threads::{Busy, Unavailable};
use super::unsent::{failed_answer, leave_out_large_answers, leave_out_result, shortened, too_large};
use crate::client::{LONG_POLL, RpcCode, RpcError};
use crate::data::{Failure, Headers};
use crate::executor::{Completion, QueryError, RunOptions, SDK_NAME, Update, catch, listed};
use crate::notice::say_unless_heard;
use crate::raw;

/// How long the server keeps a task on our own queue before it gives it to any worker. Shorter than a call may take: a
/// query of a worker that is gone is answered by another one in time.
const STICKY_SCHEDULE_TO_START: Duration = Duration::from_secs(5);

/// The pause before a failure of a second, third, … attempt is reported. The server offers the task again at once, and
/// nobody gains from a task that fails many times a second.
const FIRST_FAILURE_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_FAILURE_PAUSE: Duration = Duration::from_secs(60);

/// Polls workflow tasks until the worker stops.
pub(super) async fn poll_workflow_tasks(shell: Arc<Shell>, sticky: bool) -> Result<(), RpcError> {
    let task_queue = match &shell.sticky_queue {
        Some(name) if sticky => raw::TaskQueue {
            name: name.clone(),
            kind: TaskQueueKind::Sticky as i32,
            normal_name: shell.task_queue.clone(),
        },
        _ => {
            raw::TaskQueue { name: shell.task_queue.clone(), kind: TaskQueueKind::Normal as i32, ..Default::default() }
        }
    };
    let request = wire::PollWorkflowTaskQueueRequest {
        namespace: shell.link.namespace.clone(),
        task_queue: Some(task_queue),
        identity: shell.link.identity.clone(),
        worker_instance_key: shell.instance_key.clone(),
        ..Default::default()
    };
    loop {
        let place = tokio::select! {
            biased;
            () = shell.stop_polling.begin.cancelled() => return Ok(()),
            place = shell.places.poll(sticky) => place,
        };
        let attempt = || shell.link.connection.once(request.clone(), LONG_POLL);
        let Some(task) = poll(&shell.server, &shell.stop_polling, attempt).await? else { return Ok(()) };
        if task.task_token.is_empty() {
            continue;
        }
        let handler = shell.clone();
        // Boxed, because the runtime moves what it is given several times.
        shell.tasks.spawn(Box::pin(async move { handler.workflow_task(task, place.take().await).await }));
    }
}

/// What was made of a workflow task.
enum Outcome {
    Completed { completion: Completion, answers: QueryAnswers, headers: Headers, turn: Turn },
    Queried(QueryAnswers),
    Failed { cause: WorkflowTaskFailedCause, failure: Failure },
}

impl Shell {
    /// Handles a task and those that come back with its answer.
    pub(super) async fn workflow_task(
        self: Arc<Self>,
        mut task: wire::PollWorkflowTaskQueueResponse,
        slot: tokio::sync::OwnedSemaphorePermit,
    ) {
        let mut slot = Some(slot);
        loop {
            let identity = Identity::of(&task);
            let run_id = identity.run_id.clone();
            let token = task.task_token.clone();
            let is_query = task.query.is_some();
            let outcome = self.execute(task, &identity).await;
            let sent = match outcome {
                Outcome::Completed { completion, answers, headers, turn } => {
                    let sent = self.complete(&identity, token.clone(), completion, answers, &headers, turn).await;
                    if sent.is_err() {
                        // Whatever the server made of the task, history will tell: begin anew from there.
                        self.undo(&run_id, turn, Undo::Evict);
                    }
                    match sent {
                        Err(error) if error.is_unsendable() => {
                            let failure = error.failure_of("the completion of the workflow task");
                            self.fail_task(&identity, token, error.cause(), failure, &mut slot).await.map(|()| None)
                        }
                        sent => sent.map(Some),
                    }
                }
                Outcome::Queried(answers) => self.answer_query(token, answers).await.map(|()| None),
                Outcome::Failed { failure, .. } if is_query => {
                    self.warn_failed(&identity, &failure, false);
                    let error = QueryError { failure: failure.into() };
                    self.answer_query(token, vec![(String::new(), Err(error))]).await.map(|()| None)
                }
                Outcome::Failed { cause, failure } => {
                    self.fail_task(&identity, token, cause, failure, &mut slot).await.map(|()| None)
                }
            };
            match sent {
                Ok(Some(Some(next))) => task = next,
                Ok(_) => return,
                Err(error) => {
                    let is_lost = matches!(&error, LinkError::Rpc(error) if error.code == RpcCode::NotFound);
                    if is_lost {
                        tracing::debug!(workflow_id = %identity.workflow_id, %error, "the task was no longer wanted");
                    } else {
                        if let Some(observer) = &self.observer {
                            // Refused by the engine, or not to be sent: for the workflow it is a failed task all the same.
                            let cause = Failure::application("WorkflowTaskRefused", error.to_string());
                            observer.task_failed(&identity.workflow_id, &run_id, &cause);
                        }
                        tracing::warn!(
                            workflow_id = %identity.workflow_id, run_id = %identity.run_id, %error,
                            "a workflow task could not be answered; it will be offered again"
                        );
                    }
                    return;
                }
            }
        }
    }

    /// Reports a task as failed, to those who read logs and to the server.
    async fn fail_task(
        &self,
        identity: &Identity,
        token: bytes::Bytes,
        cause: WorkflowTaskFailedCause,
        failure: Failure,
        slot: &mut Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> Result<(), LinkError> {
        self.warn_failed(identity, &failure, cause == WorkflowTaskFailedCause::GrpcMessageTooLarge);
        if let Some(observer) = &self.observer {
            observer.task_failed(&identity.workflow_id, &identity.run_id, &failure);
        }
        // The slot is another task's meanwhile.
        drop(slot.take());
        self.fail(identity, token, cause, failure).await
    }

    /// Has a workflow thread do the task, with as much history as it asks for.
    async fn execute(&self, mut task: wire::PollWorkflowTaskQueueResponse, identity: &Identity) -> Outcome {
        let fail = |message: String| Outcome::Failed {
            cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure,
            failure: Failure::application("WorkerError", message),
        };
        if let Err(error) = self.link.decode(&mut task).await {
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
                completes_task: task.query.is_none(),
                queries: queries(&task),
            });
            let run_id = identity.run_id.clone();
            match self.work(&run_id, job, page_token, identity).await {
                Ok(Done::Outcome(outcome)) => return *outcome,
                Ok(Done::StartOver) => match self.page(identity, Default::default()).await {
                    Ok((first, next)) => (events, page_token) = (first, next),
                    Err(error) => return fail(format!("its history cannot be fetched: {error}")),
                },
                Err(error) => {
                    self.threads.tell(&run_id, Job::NoPage { run_id: run_id.clone() });
                    return fail(format!("its history cannot be fetched: {error}"));
                }
            }
        }
    }

    /// One job with its pages, on whichever thread has the run.
    async fn work(
        &self,
        run_id: &Arc<str>,
        job: Box<WorkflowJob>,
        mut page_token: bytes::Bytes,
        identity: &Identity,
    ) -> Result<Done, LinkError> {
        let thread = match self.threads.of_run(run_id) {
            Ok(thread) => thread,
            Err(unavailable) => return Ok(Done::Outcome(no_thread(&unavailable).into())),
        };
        let (reply, mut answer) = oneshot::channel();
        thread.send(Job::Work { run_id: run_id.clone(), job, reply });
        loop {
            let answered = tokio::select! {
                biased;
                answered = &mut answer => answered.ok(),
                () = thread.lost.cancelled() => None,
            };
            match answered {
                Some(Answer::Completed { completion, answers, headers, turn }) => {
                    return Ok(Done::Outcome(Outcome::Completed { completion, answers, headers, turn }.into()));
                }
                Some(Answer::Queried(answers)) => return Ok(Done::Outcome(Outcome::Queried(answers).into())),
                Some(Answer::Failed(failure)) => {
                    let (cause, failure) = (failure.cause(), failure.to_failure());
                    return Ok(Done::Outcome(Outcome::Failed { cause, failure }.into()));
                }
                Some(Answer::CacheMiss) => return Ok(Done::StartOver),
                Some(Answer::NeedHistory) => {
                    let (events, next) = self.page(identity, page_token).await?;
                    let more = !next.is_empty();
                    page_token = next;
                    let (reply, next_answer) = oneshot::channel();
                    answer = next_answer;
                    thread.send(Job::Page { run_id: run_id.clone(), events, more, reply });
                }
                None => {
                    // The thread was given up. This run's own code may be why.
                    return Ok(match thread.blamed(run_id) {
                        Some(busy) => Done::Outcome(deadlocked(busy).into()),
                        None => Done::StartOver,
                    });
                }
            }
        }
    }

    /// A page of a run's history.
    async fn page(
        &self,
        identity: &Identity,
        page_token: bytes::Bytes,
    ) -> Result<(Vec<everloop_proto::temporal::api::history::v1::HistoryEvent>, bytes::Bytes), LinkError> {
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
        self.link.decode(&mut events).await?;
        Ok((events, reply.next_page_token))
    }

    /// Sends what completes a task. Answers the next task of the run, if one came back.
    async fn complete(
        &self,
        identity: &Identity,
        task_token: bytes::Bytes,
        completion: Completion,
        answers: QueryAnswers,
        headers: &Headers,
        turn: Turn,
    ) -> Result<Option<wire::PollWorkflowTaskQueueResponse>, LinkError> {
        let Completion { mut commands, messages, rules, warnings, closes } = completion;
        for warning in warnings {
            tracing::warn!(
                workflow_id = %identity.workflow_id, run_id = %identity.run_id,
                workflow_type = %identity.workflow_type, "{warning}"
            );
            say_unless_heard(|| format!("{} `{}`: {warning}", identity.workflow_type, identity.workflow_id));
        }
        catch(|| self.intercept(identity, headers, &mut commands))
            .map_err(|panic| LinkError::Interceptor(panic.to_string()))?;
        let mut eager = EagerSlots::default();
        for command in &mut commands {
            if let Some(Attributes::ScheduleActivityTaskCommandAttributes(activity)) = &mut command.attributes {
                let ours = activity.task_queue.as_ref().is_some_and(|queue| queue.name == self.task_queue);
                let known = activity.activity_type.as_ref().is_some_and(|kind| self.activities.knows(&kind.name));
                if !(ours && self.activities.polls())
                    && let Some(queue) = &activity.task_queue
                {
                    self.link.client.watch_activity_queue(&queue.name);
                }
                activity.request_eager_execution = ours && known && self.activities.reserve_eager(&mut eager);
            }
        }
        let sdk_metadata = (self.keeps_metadata && !rules.is_empty()).then(|| WorkflowTaskCompletedMetadata {
            lang_used_flags: rules,
            sdk_name: SDK_NAME.to_owned(),
            sdk_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        });
        // Nobody will poll our own queue once the worker stops.
        let sticky_queue = self.sticky_queue.as_ref().filter(|_| !self.stop_polling.begin.is_cancelled());
        let sticky_attributes = sticky_queue.map(|name| StickyExecutionAttributes {
            worker_task_queue: Some(raw::TaskQueue {
                name: name.clone(),
                kind: TaskQueueKind::Sticky as i32,
                normal_name: self.task_queue.clone(),
            }),
            schedule_to_start_timeout: STICKY_SCHEDULE_TO_START.try_into().ok(),
        });
        let mut request = wire::RespondWorkflowTaskCompletedRequest {
            task_token,
            commands,
            messages,
            identity: self.link.identity.clone(),
            namespace: self.link.namespace.clone(),
            sticky_attributes,
            return_new_workflow_task: true,
            sdk_metadata,
            query_results: answers.into_iter().map(|(id, answer)| (id, query_result(answer))).collect(),
            capabilities: Some(wire::respond_workflow_task_completed_request::Capabilities {
                discard_speculative_workflow_task_with_events: true,
            }),
            ..Default::default()
        };
        self.encode_completion(&mut request).await?;
        let reply = match self.link.connection.call_with(&request).await {
            Err(error) if error.is_too_large() => {
                let error = LinkError::from(error);
                if !leave_out_large_answers(&mut request, &error) {
                    return Err(too_large(&request, &error));
                }
                self.link.connection.call_with(&request).await.map_err(LinkError::from)
            }
            reply => reply.map_err(LinkError::from),
        };
        let mut reply = match reply {
            Err(error) if error.is_about_size() => return Err(too_large(&request, &error)),
            reply => reply?,
        };
        if closes && let Some(observer) = &self.observer {
            observer.run_closed(&identity.workflow_id, &identity.run_id);
        }
        if reply.reset_history_event_id != 0 {
            let last_started_event_id = reply.reset_history_event_id;
            self.undo(&identity.run_id, turn, Undo::Discard { last_started_event_id });
        }
        self.run_eagerly(std::mem::take(&mut reply.activity_tasks), eager);
        Ok(reply.workflow_task.filter(|task| !task.task_token.is_empty()))
    }

    /// Encodes the payloads of a completion. An answer that the codec refuses fails alone.
    async fn encode_completion(
        &self,
        request: &mut wire::RespondWorkflowTaskCompletedRequest,
    ) -> Result<(), LinkError> {
        let mut answers = std::mem::take(&mut request.query_results);
        let mut messages = std::mem::take(&mut request.messages);
        self.link.encode(request).await?;
        for answer in answers.values_mut() {
            if let Err(error) = self.link.encode(answer).await {
                *answer = failed_answer(LinkError::from(error).failure_of("the query's answer"));
            }
        }
        for message in &mut messages {
            let original = message.clone();
            if let Err(error) = self.link.encode(message).await.map_err(LinkError::from) {
                *message = original;
                leave_out_result(message, &error).ok_or(error)?;
            }
        }
        (request.query_results, request.messages) = (answers, messages);
        Ok(())
    }

    fn undo(&self, run_id: &Arc<str>, turn: Turn, undo: Undo) {
        self.threads.tell(run_id, Job::Undo { run_id: run_id.clone(), turn, undo });
    }

    /// Lets interceptors see a new workflow, and add headers to what it calls.
    fn intercept(&self, identity: &Identity, headers: &Headers, commands: &mut [Command]) {
        if self.interceptors.is_empty() {
            return;
        }
        let workflow = CallingWorkflow {
            workflow_id: &identity.workflow_id,
            run_id: &identity.run_id,
            workflow_type: &identity.workflow_type,
            headers,
        };
        if identity.is_first {
            self.interceptors.iter().for_each(|interceptor| interceptor.workflow_started(&workflow));
        }
        for command in commands {
            if let Some(Attributes::ScheduleActivityTaskCommandAttributes(activity)) = &mut command.attributes {
                let kind = activity.activity_type.as_ref().map(|kind| kind.name.as_str()).unwrap_or_default();
                let mut headers = Headers::from_wire(activity.header.take());
                for interceptor in self.interceptors.iter() {
                    interceptor.activity_scheduled(&workflow, kind, &mut headers);
                }
                activity.header = headers.into_wire();
            }
        }
    }

    fn run_eagerly(&self, tasks: Vec<wire::PollActivityTaskQueueResponse>, mut eager: EagerSlots) {
        for task in tasks {
            self.activities.start(task, eager.slot());
        }
    }

    async fn answer_query(&self, task_token: bytes::Bytes, answers: QueryAnswers) -> Result<(), LinkError> {
        let Some((_, answer)) = answers.into_iter().next() else { return Ok(()) };
        match self.send_answer(task_token.clone(), query_result(answer)).await {
            Err(error) if error.is_unsendable() => {
                self.send_answer(task_token, failed_answer(error.failure_of("the query's answer"))).await
            }
            sent => sent,
        }
    }

    async fn send_answer(&self, task_token: bytes::Bytes, answer: WorkflowQueryResult) -> Result<(), LinkError> {
        let WorkflowQueryResult { result_type, answer, error_message, failure } = answer;
        let mut request = wire::RespondQueryTaskCompletedRequest {
            task_token,
            completed_type: result_type,
            query_result: answer,
            error_message,
            failure,
            namespace: self.link.namespace.clone(),
            ..Default::default()
        };
        self.link.encode(&mut request).await?;
        self.link.connection.call(request).await?;
        Ok(())
    }

    async fn fail(
        &self,
        identity: &Identity,
        task_token: bytes::Bytes,
        cause: WorkflowTaskFailedCause,
        failure: Failure,
    ) -> Result<(), LinkError> {
        tokio::select! {
            () = tokio::time::sleep(failure_pause(identity.attempt)) => {}
            () = self.stop_polling.begin.cancelled() => {}
        }
        match self.send_failure(task_token.clone(), cause, failure.clone()).await {
            Err(error) if error.is_unsendable() => {
                self.send_failure(task_token, cause, shortened(&failure, &error)).await
            }
            sent => sent,
        }
    }

    async fn send_failure(
        &self,
        task_token: bytes::Bytes,
        cause: WorkflowTaskFailedCause,
        failure: Failure,
    ) -> Result<(), LinkError> {
        let mut request = wire::RespondWorkflowTaskFailedRequest {
            task_token,
            cause: cause as i32,
            failure: Some(failure.into_wire()),
            identity: self.link.identity.clone(),
            namespace: self.link.namespace.clone(),
            ..Default::default()
        };
        self.link.encode(&mut request).await?;
        self.link.connection.call(request).await?;
        Ok(())
    }

    fn warn_failed(&self, identity: &Identity, failure: &Failure, is_final: bool) {
        let Identity { workflow_id, run_id, workflow_type, attempt, .. } = identity;
        let next = failure_pause(*attempt);
        if is_final {
            tracing::warn!(
                %workflow_id, %run_id, %workflow_type, attempt, cause = %failure,
                "a workflow task failed, and the server terminates the workflow: it cannot go on from there"
            );
            say_unless_heard(|| format!("the {workflow_type} `{workflow_id}` cannot go on: {failure}"));
            return;
        }
        tracing::warn!(
            %workflow_id, %run_id, %workflow_type, attempt, cause = %failure,
            "a workflow task failed; the workflow is not lost, the task is tried again {}",
            if next.is_zero() { "at once".to_owned() } else { format!("in {next:?}") }
        );
        if *attempt == 1 {
            say_unless_heard(|| {
                format!("a task of the {workflow_type} `{workflow_id}` failed, and is tried again and again: {failure}")
            });
        }
    }
}

fn failure_pause(attempt: u32) -> Duration {
    match attempt {
        0 | 1 => Duration::ZERO,
        more => FIRST_FAILURE_PAUSE.saturating_mul(1 << (more - 2).min(10)).min(LONGEST_FAILURE_PAUSE),
    }
}

enum Done {
    Outcome(Box<Outcome>),
    /// The thread has not got the run: send the whole history.
    StartOver,
}

/// Which task it is, for calls and messages.
struct Identity {
    workflow_id: String,
    run_id: Arc<str>,
    workflow_type: String,
    attempt: u32,
    /// Whether no task of the run was completed before.
    is_first: bool,
}

impl Identity {
    fn of(task: &wire::PollWorkflowTaskQueueResponse) -> Self {
        let execution = task.workflow_execution.clone().unwrap_or_default();
        Self {
            workflow_id: execution.workflow_id,
            run_id: execution.run_id.into(),
            workflow_type: task.workflow_type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default(),
            attempt: task.attempt.max(1).unsigned_abs(),
            is_first: task.previous_started_event_id == 0,
        }
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
        })
        .collect()
}

fn query_result(answer: Result<raw::Payload, QueryError>) -> WorkflowQueryResult {
    match answer {
        Ok(payload) => WorkflowQueryResult {
            result_type: QueryResultType::Answered as i32,
            answer: Some(raw::Payloads { payloads: vec![payload] }),
            ..Default::default()
        },
        Err(QueryError { failure }) => failed_answer(*failure),
    }
}

fn deadlocked(busy: &Busy) -> Outcome {
    let (elapsed, after) = (busy.since.elapsed(), busy.after());
    failed_by_thread(format!(
        "the workflow's code ran for {elapsed:.1?} without waiting for anything: it blocks its thread, or computes too long; \
         move that into an activity{after}"
    ))
}

fn no_thread(unavailable: &Unavailable) -> Outcome {
    failed_by_thread(match unavailable {
        Unavailable::Blocked(busy) => format!(
            "the workflow's code has blocked its thread for {:.0?}, and is not executed again before it comes back: move what \
             blocks into an activity, and restart the worker with that{}",
            busy.since.elapsed(),
            busy.after()
        ),
        Unavailable::NoThread => {
            "the system gives no thread in place of one that workflow code has blocked: restart the \
                                  worker, or give its process more threads"
                .to_owned()
        }
    })
}

fn failed_by_thread(message: String) -> Outcome {
    Outcome::Failed {
        cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure,
        failure: Failure::application("DeadlockDetected", message),
    }
}
