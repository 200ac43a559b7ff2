//! No field of a request is silently ignored: `requests.txt` has a decision for every field.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use bytes::{Buf, BufMut, Bytes};
use everloop_proto::REQUEST_DESCRIPTORS;
use http::uri::PathAndQuery;
use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

use super::*;
use crate::api::enums::DescribeTaskQueueMode;
use crate::api::workflow::OnConflictOptions;

const PACKAGE: &str = "temporal.api.workflowservice.v1";

static PROTOCOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(REQUEST_DESCRIPTORS).unwrap());

static DECISIONS: LazyLock<Vec<Decided>> = LazyLock::new(|| read(include_str!("requests.txt")));

/// The decisions about the fields of one request.
struct Decided {
    request: &'static str,
    fields: Vec<(&'static str, Decision)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Decision {
    Honoured,
    Kept,
    Informs,
    Rejected,
    /// With the suffix of an enum value's name, if only that value is rejected.
    Refused(Option<&'static str>),
    Disabled(Option<&'static str>),
}

fn read(text: &'static str) -> Vec<Decided> {
    let mut decided: Vec<Decided> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some(field) = line.strip_prefix("  ") else {
            decided.push(Decided { request: line, fields: Vec::new() });
            continue;
        };
        let (path, decision) = field.split_once(' ').unwrap_or_else(|| panic!("{line}: no decision"));
        let decision = match decision.split_once(' ') {
            None if decision == "honoured" => Decision::Honoured,
            None if decision == "kept" => Decision::Kept,
            None if decision == "rejected" => Decision::Rejected,
            None if decision == "disabled" => Decision::Disabled(None),
            None if decision == "refused" => Decision::Refused(None),
            Some(("refused", value)) => Decision::Refused(Some(value)),
            Some(("disabled", value)) => Decision::Disabled(Some(value)),
            Some(("informs:", reason)) if !reason.is_empty() => Decision::Informs,
            _ => panic!("{line}: no such decision"),
        };
        decided.last_mut().expect("a request comes first").fields.push((path, decision));
    }
    decided
}

fn descriptor(request: &str) -> MessageDescriptor {
    let message = PROTOCOL.get_message_by_name(&format!("{PACKAGE}.{request}"));
    message.unwrap_or_else(|| panic!("{request}: the protocol has no such request"))
}

/// The message type of a field, if it has fields.
fn inner(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    field.kind().as_message().filter(|_| !field.is_map()).cloned()
}

/// Adds a line for each field of `message` without a decision.
fn find_undecided(message: &MessageDescriptor, prefix: &str, decided: &BTreeSet<&str>, findings: &mut Vec<String>) {
    for field in message.fields() {
        let path = format!("{prefix}{}", field.name());
        if decided.contains(path.as_str()) {
            continue;
        }
        let below = format!("{path}.");
        match inner(&field).filter(|_| decided.iter().any(|other| other.starts_with(&below))) {
            Some(message) => find_undecided(&message, &below, decided, findings),
            None => findings.push(format!("{}: {path} is not decided upon", message.full_name())),
        }
    }
}

fn exists(message: &MessageDescriptor, path: &str) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let Some(field) = message.get_field_by_name(name) else { return false };
    rest.is_none_or(|rest| inner(&field).is_some_and(|message| exists(&message, rest)))
}

#[test]
fn every_field_of_every_request_has_a_decision() {
    let mut findings = Vec::new();
    for Decided { request, fields } in &*DECISIONS {
        let message = descriptor(request);
        let decided: BTreeSet<_> = fields.iter().map(|(path, _)| *path).collect();
        find_undecided(&message, "", &decided, &mut findings);
        for path in &decided {
            if !exists(&message, path) {
                findings.push(format!("{request}: the protocol has no field {path}"));
            }
            if decided.iter().any(|other| path.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'))) {
                findings.push(format!("{request}: {path} is decided upon twice"));
            }
        }
        if decided.len() != fields.len() {
            findings.push(format!("{request}: a field is decided upon twice"));
        }
    }
    assert!(findings.is_empty(), "decide in requests.txt:\n{}", findings.join("\n"));
}

#[test]
fn new_and_removed_fields_are_reported() {
    let message = descriptor("SignalWorkflowExecutionRequest");
    let mut findings = Vec::new();
    let all_but_one = ["namespace", "workflow_execution.workflow_id", "signal_name", "input", "identity", "request_id"];
    let decided = all_but_one.into_iter().chain(["control", "header", "links"]).collect();
    find_undecided(&message, "", &decided, &mut findings);
    assert_eq!(findings, ["temporal.api.common.v1.WorkflowExecution: workflow_execution.run_id is not decided upon"]);
    assert!(!exists(&message, "workflow_execution.id") && exists(&message, "workflow_execution.run_id"));
}

#[test]
fn fields_that_are_honoured_or_kept_occur_in_the_sources() {
    let mut words = BTreeSet::new();
    read_words(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut words);
    for Decided { request, fields } in &*DECISIONS {
        for (path, decision) in fields {
            let name = path.rsplit('.').next().unwrap_or(path);
            // The generated enum of commands has the names of the fields in camel case.
            let in_rust = if name.ends_with("_command_attributes") { camel_case(name) } else { name.to_owned() };
            let read = matches!(decision, Decision::Honoured | Decision::Kept);
            assert!(!read || words.contains(&in_rust), "{request}: nothing reads {path}");
        }
    }
}

/// Collects the words of all sources in the folder, except those of tests and of the program.
fn read_words(folder: &Path, words: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" && name != "bin" {
            read_words(&path, words);
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "tests" {
            let text = fs::read_to_string(&path).unwrap();
            let word = |word: &str| !word.is_empty();
            let split = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.extend(split.filter(|text| word(text)).map(str::to_owned));
        }
    }
}

fn camel_case(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}

#[tokio::test]
async fn calls_without_decisions_are_not_served() {
    let bench = Bench::new(ClockMode::Real);
    let requests = PROTOCOL.all_messages().filter(|message| {
        message.package_name() == PACKAGE && message.name().ends_with("Request") && message.parent_message().is_none()
    });
    let mut known = 0;
    for request in requests {
        let is_listed = DECISIONS.iter().any(|decided| decided.request == request.name());
        known += usize::from(is_listed);
        let answer = call(&bench, &DynamicMessage::new(request.clone())).await;
        let is_served = answer.map_err(|refused| refused.code()) != Err(Code::Unimplemented);
        assert_eq!(is_served, is_listed, "{}: is it served, and is it listed in requests.txt?", request.name());
    }
    assert_eq!(known, DECISIONS.len());
}

#[tokio::test]
async fn unsupported_fields_are_rejected_and_named() {
    let mut bench = Bench::new(ClockMode::Real);
    for Decided { request, fields } in &*DECISIONS {
        for (path, decision) in fields {
            let segments: Vec<_> = path.split('.').collect();
            let value = match decision {
                Decision::Refused(value) | Decision::Disabled(value) => *value,
                Decision::Rejected => None,
                Decision::Honoured | Decision::Kept | Decision::Informs => continue,
            };
            let mut message = valid(&mut bench, request).await;
            set(&mut message, &segments, value);
            if let Decision::Disabled(_) = decision {
                let kind = segments[1].trim_end_matches("_command_attributes").to_uppercase();
                set(&mut message, &["commands", "command_type"], Some(&kind));
            }
            let refused = call(&bench, &message).await;
            let refused = refused.err().unwrap_or_else(|| panic!("{request}: {path} is ignored"));
            let text = refused.message();
            match decision {
                Decision::Refused(_) => {
                    assert_eq!(refused.code(), Code::Unimplemented, "{request}: {path}: {text}");
                    assert!(segments.iter().any(|name| text.contains(name)), "{request}: {path} is not named: {text}");
                }
                Decision::Disabled(_) => assert!(text.contains("FeatureDisabled"), "{request}: {path}: {text}"),
                _ => assert!([Code::InvalidArgument, Code::FailedPrecondition].contains(&refused.code()), "{text}"),
            }
        }
    }
}

/// Enums whose unknown values are not rejected by name.
const OTHERWISE: [(&str, &str); 5] = [
    // Workers may know causes that are newer than this server. Each is a failure of the worker.
    ("RespondWorkflowTaskFailedRequest", "cause"),
    // It fails the workflow task.
    ("RespondWorkflowTaskCompletedRequest", "commands.command_type"),
    (
        "RespondWorkflowTaskCompletedRequest",
        "commands.start_child_workflow_execution_command_attributes.parent_close_policy",
    ),
    (
        "RespondWorkflowTaskCompletedRequest",
        "commands.start_child_workflow_execution_command_attributes.workflow_id_reuse_policy",
    ),
    // It needs the token of a query: see `known` in its call.
    ("RespondQueryTaskCompletedRequest", "completed_type"),
];

/// A number without a name was taken for the default.
#[tokio::test]
async fn unknown_values_of_enums_are_rejected_and_named() {
    let mut bench = Bench::new(ClockMode::Real);
    let mut tried = 0;
    for Decided { request, fields } in &*DECISIONS {
        let honoured = fields.iter().filter(|(_, decision)| *decision == Decision::Honoured).map(|(path, _)| *path);
        for path in
            honoured.chain((*request == "UpdateWorkflowExecutionRequest").then_some("wait_policy.lifecycle_stage"))
        {
            let segments: Vec<_> = path.split('.').collect();
            if !is_enum(&descriptor(request), &segments) || OTHERWISE.contains(&(*request, path)) {
                continue;
            }
            let mut message = valid(&mut bench, request).await;
            if path == "task_queue_type" {
                set(&mut message, &["api_mode"], Some("UNSPECIFIED"));
            }
            set(&mut message, &segments, Some(UNKNOWN));
            let refused = call(&bench, &message).await;
            let refused = refused.err().unwrap_or_else(|| panic!("{request}: an unknown {path} is ignored"));
            assert_eq!(refused.code(), Code::InvalidArgument, "{request}: {path}: {}", refused.message());
            assert_eq!(refused.message(), format!("{path} is 999, a value that this server does not know."));
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried} enums were tried");
}

/// Stands for a value that no enum has.
const UNKNOWN: &str = "999";

fn is_enum(message: &MessageDescriptor, path: &[&str]) -> bool {
    let field = message.get_field_by_name(path[0]).expect("decisions are about fields that exist");
    match path {
        [_] => matches!(field.kind(), Kind::Enum(_)),
        [_, rest @ ..] => inner(&field).is_some_and(|message| is_enum(&message, rest)),
        [] => false,
    }
}

#[tokio::test]
async fn valid_requests_are_not_refused_before_a_field_is_set() {
    let mut bench = Bench::new(ClockMode::Real);
    for Decided { request, fields } in &*DECISIONS {
        let is_tried = |(_, decision): &(_, Decision)| {
            matches!(decision, Decision::Refused(_) | Decision::Rejected | Decision::Disabled(_))
        };
        if fields.iter().any(is_tried) {
            let message = valid(&mut bench, request).await;
            let answer = call(&bench, &message).await;
            // The update has no worker that answers it.
            assert!(answer.is_ok() || *request == "UpdateWorkflowExecutionRequest", "{request}: {answer:?}");
        }
    }
}

/// A valid request of that type. Polls find no task.
async fn valid(bench: &mut Bench, request: &str) -> DynamicMessage {
    let fresh = uuid::Uuid::new_v4().to_string();
    let namespace = "default".to_owned();
    let empty = Some(queue("empty"));
    let options = OnConflictOptions { attach_request_id: true, ..Default::default() };
    let start = StartWorkflowExecutionRequest { on_conflict_options: Some(options), ..start_request(&fresh) };
    match request {
        "StartWorkflowExecutionRequest" => dynamic(&start),
        "SignalWithStartWorkflowExecutionRequest" => dynamic(&SignalWithStartWorkflowExecutionRequest {
            namespace,
            workflow_id: fresh,
            workflow_type: start.workflow_type,
            task_queue: start.task_queue,
            signal_name: "signal".to_owned(),
            ..Default::default()
        }),
        "UpdateWorkflowExecutionRequest" => {
            bench.start(&fresh).await;
            let input = update::Input { name: "update".to_owned(), ..Default::default() };
            dynamic(&UpdateWorkflowExecutionRequest {
                namespace,
                workflow_execution: Some(execution(&fresh)),
                request: Some(update::Request { input: Some(input), ..Default::default() }),
                ..Default::default()
            })
        }
        "RespondWorkflowTaskCompletedRequest" => {
            let own = StartWorkflowExecutionRequest { task_queue: Some(queue(&fresh)), ..start };
            bench.client.start_workflow_execution(own).await.unwrap();
            let poll =
                PollWorkflowTaskQueueRequest { namespace, task_queue: Some(queue(&fresh)), ..Default::default() };
            let task = bench.client.poll_workflow_task_queue(poll).await.unwrap().into_inner();
            dynamic(&completion(&task, Vec::new()))
        }
        "PollWorkflowTaskQueueRequest" => {
            dynamic(&PollWorkflowTaskQueueRequest { namespace, task_queue: empty, ..Default::default() })
        }
        "PollActivityTaskQueueRequest" => {
            dynamic(&PollActivityTaskQueueRequest { namespace, task_queue: empty, ..Default::default() })
        }
        "PollNexusTaskQueueRequest" => {
            dynamic(&PollNexusTaskQueueRequest { namespace, task_queue: empty, ..Default::default() })
        }
        "DescribeTaskQueueRequest" => dynamic(&DescribeTaskQueueRequest {
            namespace,
            task_queue: empty,
            api_mode: DescribeTaskQueueMode::Enhanced as i32,
            ..Default::default()
        }),
        "GetWorkflowExecutionHistoryRequest" => {
            bench.start(&fresh).await;
            dynamic(&GetWorkflowExecutionHistoryRequest {
                namespace,
                execution: Some(execution(&fresh)),
                ..Default::default()
            })
        }
        "QueryWorkflowRequest" => {
            bench.start(&fresh).await;
            dynamic(&QueryWorkflowRequest {
                namespace,
                execution: Some(execution(&fresh)),
                query: Some(WorkflowQuery { query_type: "stage".to_owned(), ..Default::default() }),
                ..Default::default()
            })
        }
        "UnpauseActivityRequest" | "ResetActivityRequest" => {
            let own = StartWorkflowExecutionRequest { task_queue: Some(queue(&fresh)), ..start };
            bench.client.start_workflow_execution(own).await.unwrap();
            let task_queue = Some(queue(&fresh));
            let poll = PollWorkflowTaskQueueRequest { namespace: namespace.clone(), task_queue, ..Default::default() };
            let task = bench.client.poll_workflow_task_queue(poll).await.unwrap().into_inner();
            let completed = completion(&task, vec![run_activity()]);
            bench.client.respond_workflow_task_completed(completed).await.unwrap();
            let (id, execution) = ("1".to_owned(), Some(execution(&fresh)));
            match request {
                "UnpauseActivityRequest" => dynamic(&UnpauseActivityRequest {
                    namespace,
                    execution,
                    activity: Some(unpause_activity_request::Activity::Id(id)),
                    ..Default::default()
                }),
                _ => dynamic(&ResetActivityRequest {
                    namespace,
                    execution,
                    activity: Some(reset_activity_request::Activity::Id(id)),
                    ..Default::default()
                }),
            }
        }
        "RegisterNamespaceRequest" => dynamic(&RegisterNamespaceRequest {
            namespace: fresh,
            workflow_execution_retention_period: Some(prost_types::Duration { seconds: 86_400, nanos: 0 }),
            ..Default::default()
        }),
        "UpdateNamespaceRequest" => dynamic(&UpdateNamespaceRequest { namespace, ..Default::default() }),
        other => panic!("{other}: make a valid one here"),
    }
}

fn dynamic<M: Message + Name>(message: &M) -> DynamicMessage {
    let mut dynamic = DynamicMessage::new(descriptor(M::NAME));
    dynamic.transcode_from(message).unwrap();
    dynamic
}

/// Sets a field, possibly nested, to a value other than its default.
fn set(message: &mut DynamicMessage, path: &[&str], value: Option<&str>) {
    let field = message.descriptor().get_field_by_name(path[0]).unwrap();
    let content = match (path, message.get_field(&field).into_owned()) {
        ([_], _) => sample(&field, value),
        ([_, rest @ ..], Value::Message(mut inner)) => {
            set(&mut inner, rest, value);
            Value::Message(inner)
        }
        ([_, rest @ ..], Value::List(items)) => {
            let first = items.into_iter().next().unwrap_or_else(|| one(&field.kind(), None));
            let Value::Message(mut inner) = first else { panic!("{path:?} is no list of messages") };
            set(&mut inner, rest, value);
            Value::List(vec![Value::Message(inner)])
        }
        (path, _) => panic!("{path:?} has no fields"),
    };
    message.set_field(&field, content);
}

fn sample(field: &FieldDescriptor, value: Option<&str>) -> Value {
    if field.is_map() {
        let kind = field.kind();
        let entry = kind.as_message().expect("a map has entries").map_entry_value_field();
        return Value::Map([(MapKey::String("x".to_owned()), one(&entry.kind(), value))].into());
    }
    let one = one(&field.kind(), value);
    if field.is_list() { Value::List(vec![one]) } else { one }
}

fn one(kind: &Kind, value: Option<&str>) -> Value {
    match kind {
        Kind::String => Value::String("x".to_owned()),
        Kind::Bytes => Value::Bytes(Bytes::from_static(b"x")),
        Kind::Bool => Value::Bool(true),
        Kind::Int32 => Value::I32(1),
        Kind::Int64 => Value::I64(1),
        Kind::Message(message) => Value::Message(DynamicMessage::new(message.clone())),
        Kind::Enum(_) if value == Some(UNKNOWN) => Value::EnumNumber(999),
        Kind::Enum(values) => {
            let wanted = value.expect("the list names the value of an enum");
            let found = values.values().find(|value| value.name().ends_with(&format!("_{wanted}")));
            Value::EnumNumber(found.unwrap_or_else(|| panic!("{}: no {wanted}", values.name())).number())
        }
        other => panic!("{other:?}: make one here"),
    }
}

/// Calls the method with that request type.
async fn call(bench: &Bench, request: &DynamicMessage) -> Result<Bytes, Status> {
    let name = request.descriptor().name().trim_end_matches("Request").to_owned();
    let path: PathAndQuery = format!("/{PACKAGE}.WorkflowService/{name}").parse().unwrap();
    let mut client = tonic::client::Grpc::new(bench.engine.workflow_service());
    client.ready().await.unwrap();
    let mut request = Request::new(Bytes::from(request.encode_to_vec()));
    request.set_timeout(Duration::from_millis(200));
    Ok(client.unary(request, path, Encoded).await?.into_inner())
}

/// The codec of messages that are encoded already.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
