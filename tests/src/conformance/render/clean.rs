//! Replaces times, tokens and sizes in a message by stable names.

use everloop_proto::{
    google,
    temporal::api::{errordetails::v1 as errordetails, update::v1 as update},
};
use prost::{Message, Name};

use super::{super::differences::is_unsent, tree::Node};

/// Fields that depend on how a server is built and not on its behaviour; they are excluded from the comparison.
const UNTOLD: &[&str] = &[
    // The number of a task within the server that wrote the event.
    "task_id",
    // The backlog, and whether more pollers would help: both depend on timing.
    "backlog_count_hint",
    "poller_scaling_decision",
    // The partition of a queue that a poller should use.
    "poller_group_id",
    "poller_group_infos",
    "poller_groups_info",
    // The number of writes of a run.
    "state_transition_count",
    // The cluster that wrote the event, in a server of several clusters.
    "version",
    "fork_event_version",
];

/// Returns the message without empty fields, with names in place of values that differ between two runs.
pub(super) fn clean(node: Node) -> Node {
    value("", node)
}

fn value(field: &str, node: Node) -> Node {
    match (field, node) {
        (_, zero) if zero.is_zero() => zero,
        ("task_token" | "next_page_token", _) => named("<token>"),
        ("history_size_bytes", _) => named("<size>"),
        ("execution_duration", _) => named("<duration>"),
        // A difference between two clock readings.
        ("current_retry_interval", Node::Tuple { items, .. }) => Node::Atom(format!("{:.1}s", seconds(&items[0]))),
        // The id of a poll, made by the server. A scenario's own request ids start with `req-`.
        ("request_id", Node::Text(id)) if !id.starts_with("req-") => named("<request>"),
        (_, Node::Tuple { name, mut items }) if items.len() == 1 => match (name.as_str(), items.remove(0)) {
            ("Some", inner) => value(field, inner),
            // A member of a oneof: `attributes: Some(TimerFiredEventAttributes(TimerFiredEventAttributes { .. }))`.
            (_, inner @ Node::Struct { .. }) => value(field, inner),
            (_, inner) => Node::Tuple { name, items: vec![value(field, inner)] },
        },
        (_, Node::Tuple { name, items }) => {
            Node::Tuple { name, items: items.into_iter().map(|item| value("", item)).collect() }
        }
        (_, Node::List(items)) => Node::List(items.into_iter().map(|item| value("", item)).collect()),
        (_, Node::Map(entries)) => {
            let mut entries: Vec<_> = entries.into_iter().map(|(key, entry)| (key, value("", entry))).collect();
            entries.sort_by_key(|(key, _)| format!("{key:?}"));
            Node::Map(entries)
        }
        (_, Node::Struct { name, fields }) => message(name, fields),
        (_, plain) => plain,
    }
}

fn message(name: String, fields: Vec<(String, Node)>) -> Node {
    let node = Node::Struct { name, fields };
    let Node::Struct { name, .. } = &node else { unreachable!("made above") };
    match name.as_str() {
        // A time before every clock reading means that there is none.
        "Timestamp" if atom(&node, "seconds").starts_with('-') => named("None"),
        "Timestamp" => named("<time>"),
        "Duration" => Node::Atom(duration(&node)),
        "Payload" => payload(node),
        "Payloads" => value("", node.field("payloads").cloned().expect("payloads have payloads")),
        "WorkflowType" | "ActivityType" => node.field("name").cloned().expect("a type has a name"),
        "History" => Node::List(events(&node)),
        "Any" => any(&node),
        _ => struct_fields(node),
    }
}

fn struct_fields(node: Node) -> Node {
    let Node::Struct { name, fields } = node else { return node };
    let fields = fields.into_iter().filter(|(field, _)| !UNTOLD.contains(&field.as_str()) && !is_unsent(field));
    let fields = fields.filter_map(|(field, inner)| {
        let inner = value(&field, inner);
        (!inner.is_zero()).then_some((field, inner))
    });
    Node::Struct { name, fields: fields.collect() }
}

/// Formats an event as `1 WorkflowExecutionStarted`: a scenario shows the whole events by reading the history.
fn events(history: &Node) -> Vec<Node> {
    let Some(Node::List(events)) = history.field("events") else { return vec![] };
    let title = |event: &Node| format!("{} {}", atom(event, "event_id"), atom(event, "event_type"));
    events.iter().map(|event| Node::Atom(title(event))).collect()
}

/// Shows JSON as it is, and other payloads with their metadata.
fn payload(node: Node) -> Node {
    if let (Some(Node::Map(metadata)), Some(Node::Bytes(data))) = (node.field("metadata"), node.field("data")) {
        let json = (Node::Text("encoding".into()), Node::Bytes(b"json/plain".to_vec()));
        if metadata.as_slice() == [json] {
            return Node::Atom(String::from_utf8_lossy(data).into_owned());
        }
    }
    struct_fields(node)
}

fn duration(node: &Node) -> String {
    format!("{}s", seconds(node))
}

fn seconds(duration: &Node) -> f64 {
    let part = |name| atom(duration, name).parse::<f64>().expect("a duration has numbers");
    part("seconds") + part("nanos") / 1e9
}

fn atom<'a>(node: &'a Node, name: &str) -> &'a str {
    match node.field(name) {
        Some(Node::Atom(atom)) => atom,
        other => panic!("{name} is {other:?}"),
    }
}

fn any(node: &Node) -> Node {
    let (Some(Node::Text(url)), Some(content)) = (node.field("type_url"), node.field("value")) else {
        panic!("{node:?} has a type and a value");
    };
    let bytes = match content {
        Node::Bytes(bytes) => bytes.clone(),
        Node::List(items) => items.iter().map(byte).collect(),
        other => panic!("{other:?} are bytes"),
    };
    decoded(url, &bytes)
}

fn byte(node: &Node) -> u8 {
    match node {
        Node::Atom(number) => number.parse().expect("a byte"),
        other => panic!("{other:?} is a byte"),
    }
}

/// Decodes the message in an `Any`, by its type name. An unlisted name fails the scenario.
pub(super) fn decoded(url: &str, bytes: &[u8]) -> Node {
    macro_rules! one_of {
        ($($message:ty),* $(,)?) => {
            $(if url == <$message>::type_url() {
                let message = <$message>::decode(bytes).expect("an Any holds what it says");
                return titled(<$message>::NAME, value("", Node::of(&message)));
            })*
        };
    }
    one_of!(
        google::rpc::Status,
        update::Request,
        update::Acceptance,
        update::Response,
        update::Rejection,
        errordetails::NotFoundFailure,
        errordetails::NamespaceNotFoundFailure,
        errordetails::NamespaceAlreadyExistsFailure,
        errordetails::NamespaceInvalidStateFailure,
        errordetails::WorkflowExecutionAlreadyStartedFailure,
        errordetails::WorkflowNotReadyFailure,
        errordetails::QueryFailedFailure,
        errordetails::PermissionDeniedFailure,
        errordetails::ResourceExhaustedFailure,
        errordetails::CancellationAlreadyRequestedFailure,
        errordetails::MultiOperationExecutionFailure,
    );
    panic!("no scenario met a {url} before: name it here");
}

/// Formats the message with its name before it: `NotFoundFailure({..})`.
fn titled(name: &str, node: Node) -> Node {
    Node::Tuple { name: name.into(), items: vec![node] }
}

fn named(name: &str) -> Node {
    Node::Atom(name.into())
}
