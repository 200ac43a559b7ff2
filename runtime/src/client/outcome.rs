//! Waiting for a workflow to end.

use std::time::Duration;

use everloop_proto::temporal::api::enums::v1::HistoryEventFilterType;
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as Event;
use everloop_proto::temporal::api::workflowservice::v1::GetWorkflowExecutionHistoryRequest;

use super::client::Client;
use super::error::ResultError;
use super::failures::{FailureBoard, unless_failed};
use super::handle::{Untyped, WorkflowHandle};
use super::message::first;
use super::{history, unpolled};
use crate::data::{DecodeError, Failure, Payload, Payloads, decode, encode};
use crate::raw;
use crate::tasks::SendFuture;
use crate::workflow::Workflow;

impl<W: Workflow> WorkflowHandle<W> {
    /// Waits for the workflow to end, and returns its result.
    pub fn result(&self) -> SendFuture<Result<W::Output, ResultError>> {
        let handle = self.clone();
        Box::pin(async move {
            let payload = handle.result_payload().await?;
            (W::OUTPUT.decode)(&payload).map_err(|cause| misfit(&handle.workflow_id, cause))
        })
    }
}

impl WorkflowHandle<Untyped> {
    /// Waits for the workflow to end, and returns its result.
    pub fn result<Output: Payload>(&self) -> SendFuture<Result<Output, ResultError>> {
        let handle = self.clone();
        Box::pin(async move {
            let payload = handle.result_payload().await?;
            decode(&payload).map_err(|cause| misfit(&handle.workflow_id, cause))
        })
    }
}

impl<W> WorkflowHandle<W> {
    /// The encoded result of the handle's chain of runs.
    pub(super) async fn result_payload(&self) -> Result<raw::Payload, ResultError> {
        let run_id = self.run_id().unwrap_or_default().to_owned();
        wait(&self.target, &self.workflow_id, run_id, self.task_queue.as_deref()).await
    }
}

fn misfit(workflow_id: &str, cause: String) -> ResultError {
    ResultError::Decode { workflow_id: workflow_id.to_owned(), cause: DecodeError::Result(cause) }
}

/// The meaning of the last event of a run.
enum Ending {
    Result(raw::Payload),
    Error(ResultError),
    /// The chain continues with this run.
    Next(String),
}

/// Waits for the end of the chain that begins with a run; an empty id means the latest one.
async fn wait(
    client: &Client,
    workflow_id: &str,
    mut run_id: String,
    task_queue: Option<&str>,
) -> Result<raw::Payload, ResultError> {
    let waiting = async {
        loop {
            let event = closing_event(client, workflow_id, &run_id).await?;
            let ending = ending(event);
            if let (Ending::Next(_), Some(failures)) = (&ending, client.failures()) {
                check(client, workflow_id, &run_id, failures).await?;
            }
            match ending {
                Ending::Result(payload) => return Ok(payload),
                Ending::Error(error) => return Err(error),
                Ending::Next(next) => run_id = next,
            }
        }
    };
    tokio::pin!(waiting);
    let result = unless_failed(client.failures(), workflow_id, async {
        let result = with_patience(client, workflow_id, task_queue, waiting).await;
        if let Some(failures) = client.failures() {
            check(client, workflow_id, "", failures).await?;
        }
        result
    });
    result.await
}

/// Replays the history of a run (the latest if empty) in a test environment, to reject a result that depends on
/// nondeterministic code.
async fn check(client: &Client, workflow_id: &str, run_id: &str, failures: &FailureBoard) -> Result<(), ResultError> {
    let Some(check) = failures.check() else { return Ok(()) };
    let execution = raw::WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: run_id.to_owned() };
    let checked = match history::fetch(client, execution).await {
        // Workflow code may take long, so it must not run on the runtime's own threads.
        Ok(history) => match tokio::task::spawn_blocking(move || check.check(&history)).await {
            Ok(checked) => checked,
            Err(panic) => Err(Failure::application("ReplayCheck", panic.to_string()).into()),
        },
        Err(error) => {
            let message = format!("the history cannot be fetched for the replay check: {error}");
            Err(Failure::application("ReplayCheck", message).into())
        }
    };
    checked.map_err(|failure| ResultError::TaskFailed { workflow_id: workflow_id.to_owned(), failure: *failure })
}

async fn with_patience<T>(
    client: &Client,
    workflow_id: &str,
    task_queue: Option<&str>,
    mut waiting: impl Future<Output = T> + Unpin,
) -> T {
    // A wait longer than this may have the reason that there is no worker, which the log should mention.
    match tokio::time::timeout(unpolled::PATIENCE, &mut waiting).await {
        Ok(result) => result,
        Err(_) => {
            unpolled::warn_about(client, workflow_id, task_queue).await;
            waiting.await
        }
    }
}

async fn closing_event(client: &Client, workflow_id: &str, run_id: &str) -> Result<HistoryEvent, ResultError> {
    let mut request = GetWorkflowExecutionHistoryRequest {
        namespace: client.namespace().to_owned(),
        execution: Some(raw::WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: run_id.to_owned() }),
        wait_new_event: true,
        history_event_filter_type: HistoryEventFilterType::CloseEvent as i32,
        skip_archival: true,
        ..Default::default()
    };
    loop {
        let page = client.connection().letting_time_jump().long_poll(request.clone()).await;
        let page = page.map_err(|error| ResultError::from_rpc(workflow_id, error))?;
        if let Some(mut event) = page.history.and_then(|history| history.events.into_iter().next_back()) {
            client.decode_of(workflow_id, &mut event).await?;
            return Ok(event);
        }
        if page.next_page_token.is_empty() {
            // An empty last page: pause, so that a server that responds at once is not polled in a hot loop.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        request.next_page_token = page.next_page_token;
    }
}

fn ending(event: HistoryEvent) -> Ending {
    let next = |run_id: String, ending: Ending| if run_id.is_empty() { ending } else { Ending::Next(run_id) };
    match event.attributes {
        Some(Event::WorkflowExecutionCompletedEventAttributes(done)) => {
            let result = match first(done.result).or_else(|_| encode(&())) {
                Ok(payload) => Ending::Result(payload),
                Err(error) => Ending::Error(ResultError::Failed(Failure::from_error(&error))),
            };
            next(done.new_execution_run_id, result)
        }
        Some(Event::WorkflowExecutionFailedEventAttributes(done)) => {
            let failure = Failure::from_wire(done.failure.unwrap_or_default());
            next(done.new_execution_run_id, Ending::Error(ResultError::Failed(failure)))
        }
        Some(Event::WorkflowExecutionTimedOutEventAttributes(done)) => {
            next(done.new_execution_run_id, Ending::Error(ResultError::TimedOut))
        }
        Some(Event::WorkflowExecutionCanceledEventAttributes(done)) => {
            Ending::Error(ResultError::Cancelled { details: Payloads::from_wire(done.details) })
        }
        Some(Event::WorkflowExecutionTerminatedEventAttributes(done)) => {
            Ending::Error(ResultError::Terminated { reason: done.reason })
        }
        Some(Event::WorkflowExecutionContinuedAsNewEventAttributes(done)) => Ending::Next(done.new_execution_run_id),
        _ => {
            let message = format!("the last event ({}) says nothing about the workflow's end", event.event_id);
            Ending::Error(ResultError::Failed(Failure::application("UnknownEvent", message)))
        }
    }
}
