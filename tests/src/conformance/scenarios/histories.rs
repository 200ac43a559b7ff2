//! Reading histories.

use everloop_proto::temporal::api::{
    enums::v1::HistoryEventFilterType, history::v1::History, workflowservice::v1 as service,
};

use super::super::{
    commands::*,
    script::{NAMESPACE, Script},
    suite::scenarios,
};

scenarios!["histories":
    in_pages,
    in_pages_from_the_end,
    waiting_for_events,
    waiting_for_the_close,
    only_the_close,
    tokens_that_are_wrong,
    refused_ones,
    descriptions_refused,
];

/// A run with six transactions in its history.
async fn one_timer(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("t", millis(100))]).await;
    s.task([complete_workflow()]).await;
}

/// A page ends where a transaction ended.
async fn in_pages(s: &mut Script) {
    one_timer(s).await;
    for size in [1, 2, 100] {
        let mut request = s.history_request("wf");
        request.maximum_page_size = size;
        let mut pages = Vec::new();
        loop {
            let page = s.quietly(request.clone()).await.expect("a page");
            pages.push(ids(page.history));
            request.next_page_token = page.next_page_token;
            if request.next_page_token.is_empty() {
                break;
            }
        }
        s.note(&format!("pages of {size}: {pages:?}"));
    }
}

async fn in_pages_from_the_end(s: &mut Script) {
    one_timer(s).await;
    for size in [1, 2, 100] {
        let mut request = service::GetWorkflowExecutionHistoryReverseRequest {
            namespace: NAMESPACE.into(),
            execution: s.run("wf"),
            maximum_page_size: size,
            ..Default::default()
        };
        let mut events = Vec::new();
        loop {
            let page = s.quietly(request.clone()).await.expect("a page");
            events.extend(ids(page.history));
            request.next_page_token = page.next_page_token;
            if request.next_page_token.is_empty() {
                break;
            }
        }
        s.note(&format!("in pages of {size}: {events:?}"));
    }
}

/// A waiting reader gets the existing events at once, and then each new event.
async fn waiting_for_events(s: &mut Script) {
    s.start("wf").await;
    let mut request = s.history_request("wf");
    request.wait_new_event = true;
    let page = s.call(request.clone()).await;
    request.next_page_token = page.next_page_token;
    let next = s.later(request.clone());
    s.signal("wf", "wake").await;
    let page = s.take(next).await;
    request.next_page_token = page.next_page_token;
    let next = s.later(request.clone());
    s.terminate("wf").await;
    let page = s.take(next).await;
    assert!(page.next_page_token.is_empty(), "a closed run has no more events");
}

async fn waiting_for_the_close(s: &mut Script) {
    s.start("wf").await;
    let mut request = s.history_request("wf");
    request.history_event_filter_type = HistoryEventFilterType::CloseEvent.into();
    s.note("not waiting");
    s.call(request.clone()).await;
    request.wait_new_event = true;
    let close = s.later(request.clone());
    s.signal("wf", "wake").await;
    s.task([complete_workflow()]).await;
    s.take(close).await;
}

async fn only_the_close(s: &mut Script) {
    one_timer(s).await;
    let mut request = s.history_request("wf");
    request.history_event_filter_type = HistoryEventFilterType::CloseEvent.into();
    s.call(request.clone()).await;
    request.wait_new_event = true;
    s.call(request).await;
}

async fn tokens_that_are_wrong(s: &mut Script) {
    one_timer(s).await;
    let mut request = s.history_request("wf");
    request.next_page_token = "no token".into();
    s.refused(request.clone()).await;
    request.next_page_token = Default::default();
    request.maximum_page_size = 1;
    let page = s.quietly(request.clone()).await.expect("a page");
    request.next_page_token = page.next_page_token;
    s.start("other").await;
    request.execution = s.run("other");
    request.execution.as_mut().expect("set above").run_id = uuid::Uuid::new_v4().to_string();
    s.refused(request).await;
}

async fn refused_ones(s: &mut Script) {
    let mut request = s.history_request("nobody");
    s.refused(request.clone()).await;
    request.execution = None;
    s.refused(request.clone()).await;
    request.execution = s.run("");
    request.execution.as_mut().expect("set above").workflow_id = String::new();
    s.refused(request.clone()).await;
    request.execution = s.run("wf");
    request.execution.as_mut().expect("set above").run_id = "no run id".into();
    s.refused(request.clone()).await;
    request.namespace = "nowhere".into();
    s.refused(request.clone()).await;
    request.namespace = String::new();
    s.refused(request).await;
}

async fn descriptions_refused(s: &mut Script) {
    let mut request = s.describe_request("nobody");
    s.refused(request.clone()).await;
    request.execution = None;
    s.refused(request.clone()).await;
    s.start("wf").await;
    request.execution = s.run("wf");
    request.execution.as_mut().expect("set above").run_id = uuid::Uuid::new_v4().to_string();
    s.refused(request.clone()).await;
    request.execution.as_mut().expect("set above").run_id = "no run id".into();
    s.refused(request.clone()).await;
    request.namespace = "nowhere".into();
    s.refused(request).await;
}

fn ids(history: Option<History>) -> Vec<i64> {
    history.unwrap_or_default().events.iter().map(|event| event.event_id).collect()
}
