//! Search attributes that a workflow sets: the change versions of its code.

use everloop_proto::temporal::api::{
    command::v1::{Command, UpsertWorkflowSearchAttributesCommandAttributes},
    common::v1::{Payload, SearchAttributes},
    history::v1::history_event::Attributes,
};

use super::super::{commands::*, script::Script, suite::scenarios};
use super::listing::{found_ids, list_request, settled};

scenarios!["search_attributes":
    set_and_replaced,
    removed,
    kept_when_the_run_closes,
    unusual_values,
    unusual_names,
    values_that_are_too_long,
    filters,
    filters_that_are_wrong,
];

const CHANGE_VERSION: &str = "TemporalChangeVersion";

/// A JSON value, with the type that the other SDKs write beside it.
fn keywords(json: &str) -> Payload {
    let metadata = [("encoding".into(), "json/plain".into()), ("type".into(), "KeywordList".into())].into();
    Payload { metadata, data: json.to_owned().into(), ..Payload::default() }
}

/// The same without a type.
fn untyped(json: &str) -> Payload {
    let metadata = [("encoding".into(), "json/plain".into())].into();
    Payload { metadata, data: json.to_owned().into(), ..Payload::default() }
}

fn upsert(name: &str, value: Payload) -> Command {
    let search_attributes = Some(SearchAttributes { indexed_fields: [(name.to_owned(), value)].into() });
    let attributes = UpsertWorkflowSearchAttributesCommandAttributes { search_attributes };
    of(attributes)
}

fn change_versions(json: &str) -> Command {
    upsert(CHANGE_VERSION, keywords(json))
}

async fn set_and_replaced(s: &mut Script) {
    s.start("wf").await;
    s.task([change_versions(r#"["a","b"]"#)]).await;
    attributes(s, "wf").await;
    s.signal("wf", "next").await;
    s.task([upsert(CHANGE_VERSION, untyped(r#"["b", "c"]"#)), start_timer("t", seconds(60))]).await;
    attributes(s, "wf").await;
    for event in s.history("wf").await {
        if let Some(Attributes::UpsertWorkflowSearchAttributesEventAttributes(upserted)) = event.attributes {
            shown(s, &format!("event {}", event.event_id), upserted.search_attributes);
        }
    }
}

async fn removed(s: &mut Script) {
    s.start("wf").await;
    s.task([change_versions(r#"["a"]"#)]).await;
    s.signal("wf", "next").await;
    s.task([change_versions("[]")]).await;
    s.note("after an empty list");
    attributes(s, "wf").await;
    s.signal("wf", "next").await;
    s.task([change_versions(r#"["a"]"#), change_versions("null")]).await;
    s.note("after null");
    attributes(s, "wf").await;
    s.history("wf").await;
}

async fn kept_when_the_run_closes(s: &mut Script) {
    s.start("wf").await;
    s.task([change_versions(r#"["a"]"#), complete_workflow()]).await;
    attributes(s, "wf").await;
    let query = format!("WorkflowId = '{}' AND ExecutionStatus = 'Completed'", s.name("wf"));
    settled(s, &query, 1).await;
    let listed = s.call(list_request(&query)).await;
    for info in listed.executions {
        shown(s, "in the list", info.search_attributes);
    }
}

async fn unusual_values(s: &mut Script) {
    for (number, json) in
        [r#""a""#, "7", "[7]", r#"["a", null]"#, r#"["a","a"]"#, "{}", "no json", ""].iter().enumerate()
    {
        s.note(&format!("the value {json:?}"));
        tried(s, &format!("wf{number}"), change_versions(json)).await;
    }
}

async fn unusual_names(s: &mut Script) {
    for (number, name) in ["Nowhere", "WorkflowId", "StartTime", ""].iter().enumerate() {
        s.note(&format!("the name {name:?}"));
        tried(s, &format!("wf{number}"), upsert(name, keywords(r#"["a"]"#))).await;
    }
    let attributes = UpsertWorkflowSearchAttributesCommandAttributes { search_attributes: None };
    tried(s, "wf", of(attributes)).await;
}

/// Completes the first task of a run with one command, and shows what the run has then.
async fn tried(s: &mut Script, workflow: &str, command: Command) {
    s.start(workflow).await;
    let task = s.poll().await;
    let completion = s.later(s.complete_request(&task, [command]));
    s.take_either(completion).await;
    attributes(s, workflow).await;
    s.terminate(workflow).await;
}

/// Shows the search attributes of a run's description: transcripts leave them out.
async fn attributes(s: &mut Script, workflow: &str) {
    let described = s.quietly(s.describe_request(workflow)).await.expect("a description");
    let info = described.workflow_execution_info.expect("it has the facts");
    shown(s, workflow, info.search_attributes);
}

fn shown(s: &mut Script, whose: &str, attributes: Option<SearchAttributes>) {
    // The real server sets others by itself.
    let Some(value) = attributes.unwrap_or_default().indexed_fields.remove(CHANGE_VERSION) else { return };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let kind = value.metadata.get("type").map(|kind| text(kind)).unwrap_or_default();
    // The servers write a stored list with and without spaces.
    s.note(&format!("{whose}: {CHANGE_VERSION} = {} ({kind})", text(&value.data).replace(", ", ",")));
}

async fn values_that_are_too_long(s: &mut Script) {
    s.start("wf").await;
    // With its quotes and brackets as long as a value may be.
    s.task([change_versions(&format!("[\"{}\"]", "a".repeat(2_044)))]).await;
    s.signal("wf", "next").await;
    let task = s.poll().await;
    s.complete_refused(&task, [change_versions(&format!("[\"{}\"]", "a".repeat(2_045)))]).await;
    // The server has ended the run if the value is a reason to.
    let terminate = s.later(s.terminate_request("wf"));
    s.take_either(terminate).await;
}

async fn three_runs(s: &mut Script) {
    s.start("both").await;
    s.task([change_versions(r#"["a","b"]"#)]).await;
    s.start("one").await;
    s.task([change_versions(r#"["b"]"#)]).await;
    s.start("none").await;
    s.task([complete_workflow()]).await;
    for (query, count) in [("TemporalChangeVersion = 'b'", 2), ("ExecutionStatus = 'Completed'", 1)] {
        let query = format!("{} AND {query}", mine(s));
        settled(s, &query, count).await;
    }
}

async fn filters(s: &mut Script) {
    three_runs(s).await;
    for condition in [
        "TemporalChangeVersion = 'a'",
        "TemporalChangeVersion = 'b'",
        "TemporalChangeVersion = 'c'",
        "TemporalChangeVersion = 'a' AND TemporalChangeVersion = 'b'",
        "(TemporalChangeVersion = 'a' OR TemporalChangeVersion = 'b')",
        "TemporalChangeVersion != 'a'",
        "TemporalChangeVersion IN ('a')",
        "TemporalChangeVersion IN ('a', 'b', 'c')",
        "`TemporalChangeVersion` = \"a\"",
        "TemporalChangeVersion = 'A'",
        "TemporalChangeVersion = 'it''s'",
    ] {
        let query = format!("{} AND {condition}", mine(s));
        found(s, &query).await;
    }
}

async fn filters_that_are_wrong(s: &mut Script) {
    for query in [
        "TemporalChangeVersion > 'a'",
        "TemporalChangeVersion BETWEEN 'a' AND 'b'",
        "TemporalChangeVersion STARTS_WITH 'a'",
        "TemporalChangeVersion = 7",
        "ChangeVersio = 'a'",
    ] {
        let list = s.later(list_request(query));
        let status = s.take_status(list).await;
        s.note(&format!("{query}: {:?}", status.code()));
    }
}

/// The filter for all runs of this scenario.
fn mine(s: &Script) -> String {
    format!("TaskQueue = '{}'", s.name("queue"))
}

/// The workflow ids that the filter finds, in order.
async fn found(s: &mut Script, query: &str) {
    let mut ids = found_ids(s, query).await;
    ids.sort_unstable();
    s.note(&format!("{query}: {ids:?}"));
}
