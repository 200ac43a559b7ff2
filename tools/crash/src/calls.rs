//! Calls of the workflow service, in process or over gRPC.

use std::convert::Infallible;
use std::time::Duration;

use everloop_proto::temporal::api::common::v1::{Payload, Payloads, WorkflowExecution, WorkflowType};
use everloop_proto::temporal::api::enums::v1::UpdateWorkflowExecutionLifecycleStage as Stage;
use everloop_proto::temporal::api::query::v1::WorkflowQuery;
use everloop_proto::temporal::api::taskqueue::v1::TaskQueue;
use everloop_proto::temporal::api::update::v1::{self as update, outcome::Value};
use everloop_proto::temporal::api::workflowservice::v1::{
    self as wire, workflow_service_client::WorkflowServiceClient,
};
use everloop_server::Engine;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::body::Body;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use crate::entry::{Answer, Kind, Operation};
use crate::script::Script;

pub(crate) type Connection = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;
pub(crate) type Service = WorkflowServiceClient<Connection>;

pub(crate) const NAMESPACE: &str = "default";
pub(crate) const QUEUE: &str = "crash";
pub(crate) const WORKFLOW: &str = "Errand";
pub(crate) const SIGNAL: &str = "poke";
pub(crate) const UPDATE: &str = "change";
pub(crate) const QUERY: &str = "pokes";

/// The prefix of an update's input that the validator rejects.
pub(crate) const REJECTED_PREFIX: &str = "refuse ";

/// Timeout of a worker's task. The engine gives the tasks of a dead worker to another one after this.
pub(crate) const TASK: Duration = Duration::from_secs(1);

/// How long to wait for a response. A later response counts as lost.
const CALL: Duration = Duration::from_secs(10);
/// The same for calls that wait for a worker.
const CALL_OF_WORKER: Duration = Duration::from_secs(2);

const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// The response is lost: the call may have succeeded or not.
#[derive(Debug)]
pub(crate) struct Lost;

pub(crate) fn in_process(engine: &Engine) -> Service {
    let service = engine.workflow_service().map_request(|request: http::Request<Body>| request);
    service_over(Connection::new(service.map_err(|never: Infallible| match never {})))
}

pub(crate) async fn channel(address: &str) -> Result<Service, crate::Error> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?;
    Ok(service_over(Connection::new(channel.map_err(|error| Status::from_error(error.into())))))
}

fn service_over(connection: Connection) -> Service {
    WorkflowServiceClient::new(connection).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// Sends an operation of a client and waits for the response.
pub(crate) async fn perform(service: &mut Service, operation: &Operation) -> Result<Answer, Lost> {
    match try_perform(service, operation).await {
        Ok(Some(value)) => Ok(Answer::Done(value)),
        Ok(None) => Err(Lost),
        Err(status) => match status.code() {
            Code::NotFound | Code::FailedPrecondition | Code::AlreadyExists | Code::InvalidArgument => {
                Ok(Answer::Refused(format!("{:?}: {}", status.code(), status.message())))
            }
            _ => Err(Lost),
        },
    }
}

/// The result of an update; none if the engine has not decided in time.
async fn try_perform(service: &mut Service, operation: &Operation) -> Result<Option<String>, Status> {
    let Operation { id, workflow_id, kind } = operation;
    let done = Ok(Some(String::new()));
    match kind {
        Kind::Start { script, with_signal: false } => {
            let request = within(CALL, start_request(id, script));
            Ok(Some(service.start_workflow_execution(request).await?.into_inner().run_id))
        }
        Kind::Start { script, with_signal: true } => {
            let request = within(CALL, signal_with_start_request(id, script));
            Ok(Some(service.signal_with_start_workflow_execution(request).await?.into_inner().run_id))
        }
        Kind::Signal => {
            let request = wire::SignalWorkflowExecutionRequest {
                namespace: NAMESPACE.to_owned(),
                workflow_execution: execution(workflow_id),
                signal_name: SIGNAL.to_owned(),
                input: json(id),
                request_id: id.clone(),
                ..Default::default()
            };
            service.signal_workflow_execution(within(CALL, request)).await?;
            done
        }
        Kind::Update { must_be_rejected } => {
            let request = update_request(operation, *must_be_rejected);
            let reply = service.update_workflow_execution(within(CALL_OF_WORKER, request)).await?.into_inner();
            match reply.outcome.and_then(|outcome| outcome.value) {
                Some(Value::Success(payloads)) => Ok(Some(from_json(Some(&payloads)).unwrap_or_default())),
                Some(Value::Failure(failure)) => Err(Status::failed_precondition(failure.message)),
                None => Ok(None),
            }
        }
        Kind::Query { .. } => {
            let query = WorkflowQuery { query_type: QUERY.to_owned(), ..Default::default() };
            let request = wire::QueryWorkflowRequest {
                namespace: NAMESPACE.to_owned(),
                execution: execution(workflow_id),
                query: Some(query),
                ..Default::default()
            };
            let reply = service.query_workflow(within(CALL_OF_WORKER, request)).await?.into_inner();
            let count: Option<u32> = from_json(reply.query_result.as_ref());
            Ok(count.map(|count| count.to_string()))
        }
        Kind::Cancel => {
            let request = wire::RequestCancelWorkflowExecutionRequest {
                namespace: NAMESPACE.to_owned(),
                workflow_execution: execution(workflow_id),
                request_id: id.clone(),
                reason: id.clone(),
                ..Default::default()
            };
            service.request_cancel_workflow_execution(within(CALL, request)).await?;
            done
        }
        Kind::Terminate => {
            let request = wire::TerminateWorkflowExecutionRequest {
                namespace: NAMESPACE.to_owned(),
                workflow_execution: execution(workflow_id),
                reason: id.clone(),
                ..Default::default()
            };
            service.terminate_workflow_execution(within(CALL, request)).await?;
            done
        }
        Kind::Activity { .. } | Kind::WorkflowTask => unreachable!("workers send these, with their tasks' tokens"),
    }
}

fn start_request(id: &str, script: &Script) -> wire::StartWorkflowExecutionRequest {
    wire::StartWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_id: id.to_owned(),
        workflow_type: Some(WorkflowType { name: WORKFLOW.to_owned() }),
        task_queue: queue(),
        input: arguments(script),
        workflow_task_timeout: Some(duration(TASK)),
        request_id: id.to_owned(),
        ..Default::default()
    }
}

fn signal_with_start_request(id: &str, script: &Script) -> wire::SignalWithStartWorkflowExecutionRequest {
    let start = start_request(id, script);
    wire::SignalWithStartWorkflowExecutionRequest {
        namespace: start.namespace,
        workflow_id: start.workflow_id,
        workflow_type: start.workflow_type,
        task_queue: start.task_queue,
        input: start.input,
        workflow_task_timeout: start.workflow_task_timeout,
        request_id: start.request_id,
        signal_name: SIGNAL.to_owned(),
        signal_input: json(id),
        ..Default::default()
    }
}

fn update_request(operation: &Operation, must_be_rejected: bool) -> wire::UpdateWorkflowExecutionRequest {
    let id = &operation.id;
    let input = if must_be_rejected { format!("{REJECTED_PREFIX}{id}") } else { id.clone() };
    let request = update::Request {
        meta: Some(update::Meta { update_id: id.clone(), ..Default::default() }),
        input: Some(update::Input { name: UPDATE.to_owned(), args: json(&input), ..Default::default() }),
        ..Default::default()
    };
    wire::UpdateWorkflowExecutionRequest {
        namespace: NAMESPACE.to_owned(),
        workflow_execution: execution(&operation.workflow_id),
        wait_policy: Some(update::WaitPolicy { lifecycle_stage: Stage::Completed.into() }),
        request: Some(request),
        ..Default::default()
    }
}

pub(crate) fn within<T>(limit: Duration, request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.set_timeout(limit);
    request
}

/// The current run of a workflow id.
pub(crate) fn execution(workflow_id: &str) -> Option<WorkflowExecution> {
    Some(WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: String::new() })
}

pub(crate) fn queue() -> Option<TaskQueue> {
    Some(TaskQueue { name: QUEUE.to_owned(), ..Default::default() })
}

/// One JSON value.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> Option<Payloads> {
    let data = serde_json::to_vec(value).expect("what the load sends has a JSON form").into();
    let metadata = [("encoding".to_owned(), "json/plain".into())].into();
    Some(Payloads { payloads: vec![Payload { metadata, data, ..Default::default() }] })
}

/// The input that a workflow starts with.
pub(crate) fn arguments(script: &Script) -> Option<Payloads> {
    let (mut script, padding) = (json(script)?, json(&script.padding())?);
    script.payloads.extend(padding.payloads);
    Some(script)
}

/// Decodes the first value, if it has the expected type.
pub(crate) fn from_json<T: DeserializeOwned>(payloads: Option<&Payloads>) -> Option<T> {
    serde_json::from_slice(&payloads?.payloads.first()?.data).ok()
}

pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().expect("some seconds fit")
}
