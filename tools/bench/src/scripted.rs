//! A stub server: it hands out workflow tasks with ready-made histories, as fast as a worker takes them.
//!
//! It sends responses that were encoded beforehand, and decodes only as much of a request as it needs to check that the worker did
//! its task right. So the measurement is of the worker alone.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use everloop::raw::{ActivityType, HistoryEvent, Payload, Payloads, TaskQueue, WorkflowExecution, WorkflowType};
use everloop_proto::temporal::api::enums::v1::CommandType;
use everloop_proto::temporal::api::history::v1 as history;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use everloop_proto::temporal::api::workflowservice::v1 as wire;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tokio::sync::{Notify, Semaphore};
use tonic::body::Body;
use tower::Service;

use crate::load::QUEUE;

/// Offset of compression flag and length of a gRPC message.
const FRAME: usize = 5;

/// The service, as clients call it. Clones share their state.
#[derive(Clone)]
pub(crate) struct Scripted(Arc<Script>);

/// Runs of one activity each, which take two workflow tasks each.
struct Script {
    runs: usize,
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// A permit for each further open run. Closed when the worker stops.
    room: Semaphore,
    /// Runs whose activity is done and whose second task is not yet polled, with one permit each.
    ready: Mutex<VecDeque<u64>>,
    ready_count: Semaphore,
    /// The first fault of the worker.
    complaint: Mutex<Option<String>>,
    /// Notified when all runs have ended, or the worker made a mistake.
    over: Notify,
    first: Bytes,
    second: Bytes,
}

impl Scripted {
    /// Creates a server with `count` runs, of which `concurrency` are open at a time.
    pub(crate) fn new(runs: usize, concurrency: usize) -> Self {
        Self(Arc::new(Script {
            runs,
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            room: Semaphore::new(concurrency),
            ready: Mutex::default(),
            ready_count: Semaphore::new(0),
            complaint: Mutex::default(),
            over: Notify::new(),
            first: first_task().encode_to_vec().into(),
            second: second_task().encode_to_vec().into(),
        }))
    }

    /// Waits until all runs have ended.
    ///
    /// # Errors
    /// Fails if the worker's responses differ from those that its tasks require.
    pub(crate) async fn ended(&self) -> Result<(), String> {
        self.0.over.notified().await;
        lock(&self.0.complaint).take().map_or(Ok(()), Err)
    }
}

impl Service<Request<Body>> for Scripted {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let script = self.0.clone();
        Box::pin(async move { Ok(script.answer(request).await) })
    }
}

impl Script {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let method = parts.uri.path().rsplit('/').next().unwrap_or_default();
        let Ok(body) = body.collect().await else { return self.refuse(method, "its body broke off") };
        let message = body.to_bytes().slice(FRAME..);
        match method {
            "GetSystemInfo" => {
                let capabilities =
                    wire::get_system_info_response::Capabilities { sdk_metadata: true, ..Default::default() };
                let reply = wire::GetSystemInfoResponse { capabilities: Some(capabilities), ..Default::default() };
                reply_with([reply.encode_to_vec().as_slice()])
            }
            "DescribeNamespace" => reply_with([]),
            "ShutdownWorker" => {
                self.room.close();
                self.ready_count.close();
                reply_with([])
            }
            "PollWorkflowTaskQueue" => match PollRequest::decode(message) {
                Ok(PollRequest { task_queue: Some(queue) }) if queue.name == QUEUE => self.poll_first().await,
                Ok(_) => self.poll_second().await,
                Err(error) => self.refuse(method, &error.to_string()),
            },
            "RespondWorkflowTaskCompleted" => match self.complete(message) {
                Ok(()) => reply_with([]),
                Err(complaint) => self.refuse(method, &complaint),
            },
            _ => self.refuse(method, "a worker whose tasks succeed does not call it"),
        }
    }

    /// Returns the first task of a run that begins now.
    async fn poll_first(&self) -> Response<Body> {
        while let Ok(room) = self.room.acquire().await {
            room.forget();
            let run = self.begun.fetch_add(1, Ordering::Relaxed);
            if run < self.runs {
                return task(run as u64, 1, &self.first);
            }
        }
        reply_with([])
    }

    /// Returns the second task of a run whose activity is done.
    async fn poll_second(&self) -> Response<Body> {
        let Ok(one) = self.ready_count.acquire().await else { return reply_with([]) };
        one.forget();
        let run = lock(&self.ready).pop_front();
        run.map_or_else(|| reply_with([]), |run| task(run, 2, &self.second))
    }

    fn complete(&self, message: Bytes) -> Result<(), String> {
        let CompletedRequest { task_token, commands } =
            CompletedRequest::decode(message).map_err(|error| error.to_string())?;
        let token = TaskToken::decode(task_token).map_err(|error| error.to_string())?;
        let expected = match token.task {
            1 => CommandType::ScheduleActivityTask,
            _ => CommandType::CompleteWorkflowExecution,
        };
        let commands: Vec<_> = commands.iter().map(|command| command.command_type).collect();
        if commands != [expected as i32] {
            return Err(format!("task {} gave commands {commands:?}, not one {expected:?}", token.task));
        }
        if token.task == 1 {
            lock(&self.ready).push_back(token.run);
            self.ready_count.add_permits(1);
        } else {
            self.room.add_permits(1);
            if self.ended.fetch_add(1, Ordering::AcqRel) + 1 == self.runs {
                self.over.notify_one();
            }
        }
        Ok(())
    }

    fn refuse(&self, method: &str, complaint: &str) -> Response<Body> {
        lock(&self.complaint).get_or_insert_with(|| format!("{method}: {complaint}"));
        self.over.notify_one();
        tonic::Status::unimplemented(method).into_http()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The fields of a poll that the server reads.
#[derive(Clone, PartialEq, Message)]
struct PollRequest {
    #[prost(message, optional, tag = "2")]
    task_queue: Option<TaskQueue>,
}

/// The fields of a completed task that the server reads.
#[derive(Clone, PartialEq, Message)]
struct CompletedRequest {
    #[prost(bytes = "bytes", tag = "1")]
    task_token: Bytes,
    #[prost(message, repeated, tag = "2")]
    commands: Vec<Command>,
}

#[derive(Clone, PartialEq, Message)]
struct Command {
    #[prost(enumeration = "CommandType", tag = "1")]
    command_type: i32,
}

/// Identifies a task.
#[derive(Clone, PartialEq, Message)]
struct TaskToken {
    #[prost(uint64, tag = "1")]
    run: u64,
    /// Whether it is the first or the second task of its run.
    #[prost(uint32, tag = "2")]
    task: u32,
}

/// An encoded task: first the part that differs from run to run, then the part that does not. Concatenated encodings are one
/// message.
fn task(run: u64, task: u32, constant: &Bytes) -> Response<Body> {
    let token = TaskToken { run, task };
    let differing = wire::PollWorkflowTaskQueueResponse {
        task_token: token.encode_to_vec().into(),
        workflow_execution: Some(WorkflowExecution {
            workflow_id: format!("scripted-{run}"),
            run_id: format!("01900000-0000-7000-8000-{run:012}"),
        }),
        ..Default::default()
    };
    reply_with([differing.encode_to_vec().as_slice(), constant])
}

fn first_task() -> wire::PollWorkflowTaskQueueResponse {
    let started = history::WorkflowExecutionStartedEventAttributes {
        workflow_type: Some(workflow_type()),
        task_queue: Some(TaskQueue { name: QUEUE.to_owned(), ..Default::default() }),
        input: payloads("1"),
        attempt: 1,
        ..Default::default()
    };
    wire::PollWorkflowTaskQueueResponse {
        workflow_type: Some(workflow_type()),
        started_event_id: 3,
        attempt: 1,
        history: history_of([event(1, started), scheduled(2), started_task(3, 2)]),
        ..Default::default()
    }
}

fn second_task() -> wire::PollWorkflowTaskQueueResponse {
    let completed = history::WorkflowTaskCompletedEventAttributes {
        scheduled_event_id: 2,
        started_event_id: 3,
        ..Default::default()
    };
    let activity = history::ActivityTaskScheduledEventAttributes {
        activity_id: "1".to_owned(),
        activity_type: Some(ActivityType { name: "step".to_owned() }),
        workflow_task_completed_event_id: 4,
        ..Default::default()
    };
    let activity_started =
        history::ActivityTaskStartedEventAttributes { scheduled_event_id: 5, attempt: 1, ..Default::default() };
    let activity_completed = history::ActivityTaskCompletedEventAttributes {
        result: payloads("1"),
        scheduled_event_id: 5,
        started_event_id: 6,
        ..Default::default()
    };
    wire::PollWorkflowTaskQueueResponse {
        workflow_type: Some(workflow_type()),
        previous_started_event_id: 3,
        started_event_id: 9,
        attempt: 1,
        history: history_of([
            event(4, completed),
            event(5, activity),
            event(6, activity_started),
            event(7, activity_completed),
            scheduled(8),
            started_task(9, 8),
        ]),
        ..Default::default()
    }
}

fn scheduled(event_id: i64) -> HistoryEvent {
    let scheduled = history::WorkflowTaskScheduledEventAttributes { attempt: 1, ..Default::default() };
    event(event_id, scheduled)
}

fn started_task(event_id: i64, scheduled_event_id: i64) -> HistoryEvent {
    let started = history::WorkflowTaskStartedEventAttributes { scheduled_event_id, ..Default::default() };
    event(event_id, started)
}

fn event(event_id: i64, attributes: impl Into<Attributes>) -> HistoryEvent {
    let attributes = attributes.into();
    HistoryEvent {
        event_id,
        event_type: attributes.event_type() as i32,
        event_time: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
        attributes: Some(attributes),
        ..Default::default()
    }
}

fn history_of(events: impl Into<Vec<HistoryEvent>>) -> Option<history::History> {
    Some(history::History { events: events.into() })
}

fn workflow_type() -> WorkflowType {
    WorkflowType { name: "Steps".to_owned() }
}

/// Encodes one JSON value, as workflows and activities get it.
fn payloads(json: &'static str) -> Option<Payloads> {
    let metadata = [("encoding".to_owned(), Bytes::from_static(b"json/plain"))].into();
    let payload = Payload { metadata, data: Bytes::from_static(json.as_bytes()), ..Default::default() };
    Some(Payloads { payloads: vec![payload] })
}

/// Builds a response that consists of these parts.
fn reply_with<const PARTS: usize>(parts: [&[u8]; PARTS]) -> Response<Body> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = BytesMut::with_capacity(FRAME + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("tasks of some events are small"));
    parts.iter().for_each(|part| frame.put_slice(part));
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(frame.freeze()).with_trailers(std::future::ready(Some(Ok::<_, Infallible>(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
