//! Histories as normalized text: without times, sizes and generated ids.

use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;

/// One line per event.
pub(crate) fn text(events: &[HistoryEvent]) -> String {
    events.iter().map(|event| line(event.clone())).collect()
}

fn line(mut event: HistoryEvent) -> String {
    if let Some(attributes) = &mut event.attributes {
        scrub(attributes);
    }
    let name = format!("{:?}", event.event_type());
    let attributes = format!("{:?}", event.attributes);
    let mut line = format!("{} {name} {}", event.event_id, brief(&attributes));
    if event.user_metadata.is_some() {
        line.push_str(" with metadata");
    }
    if event.worker_may_ignore {
        line.push_str(" (may be ignored)");
    }
    if !event.links.is_empty() {
        line.push_str(" with links");
    }
    line.push('\n');
    line
}

/// Clears fields that differ from run to run.
fn scrub(attributes: &mut Attributes) {
    match attributes {
        Attributes::WorkflowExecutionStartedEventAttributes(a) => {
            a.original_execution_run_id = mark(&a.original_execution_run_id);
            a.first_execution_run_id = mark(&a.first_execution_run_id);
            a.workflow_execution_expiration_time = None;
            a.workflow_id = mark(&a.workflow_id);
        }
        Attributes::WorkflowTaskStartedEventAttributes(a) => {
            a.history_size_bytes = i64::from(a.history_size_bytes > 0);
            a.request_id = mark_uuid(&a.request_id);
        }
        Attributes::ActivityTaskStartedEventAttributes(a) => a.request_id = mark_uuid(&a.request_id),
        Attributes::WorkflowExecutionSignaledEventAttributes(a) => a.request_id = mark_uuid(&a.request_id),
        Attributes::WorkflowExecutionOptionsUpdatedEventAttributes(a) => {
            a.attached_request_id = mark_uuid(&a.attached_request_id);
        }
        Attributes::WorkflowExecutionTerminatedEventAttributes(a) => a.details = None,
        _ => {}
    }
}

fn mark(id: &str) -> String {
    if id.is_empty() { String::new() } else { "…".to_owned() }
}

fn mark_uuid(id: &str) -> String {
    let looks_made_up = id.len() == 36 && id.matches('-').count() == 4;
    if looks_made_up { "uuid".to_owned() } else { id.to_owned() }
}

/// Removes unset fields from the text of a value.
fn brief(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find([',', '{']) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        rest = after;
        // A field ends at the next comma or brace of the same depth; only simple ones are removed.
        let field_end = rest[1..].find([',', '{', '}', '[', '(']).map_or(rest.len(), |end| end + 1);
        let field = rest[1..field_end].trim();
        let empty = [": None", ": \"\"", ": 0", ": 0.0", ": false", ": Unspecified"];
        let is_simple = !matches!(rest.as_bytes().get(field_end), Some(b'{' | b'(' | b'['));
        if is_simple && empty.iter().any(|empty| field.ends_with(empty)) {
            if rest.starts_with('{') {
                out.push('{');
            }
            rest = &rest[field_end..];
            continue;
        }
        if rest[1..].trim_start().split_once(": ").is_some_and(|(_, value)| value.starts_with("[]")) {
            if rest.starts_with('{') {
                out.push('{');
            }
            let end = rest.find("[]").map_or(rest.len(), |end| end + 2);
            rest = &rest[end..];
            continue;
        }
        out.push_str(&rest[..1]);
        rest = &rest[1..];
    }
    out.push_str(rest);
    out.replace("{, ", "{ ").replace("{ }", "{}")
}
