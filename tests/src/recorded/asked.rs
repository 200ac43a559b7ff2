//! Texts of the operations that a workflow requested, from its commands and from the resulting events.

use std::collections::HashMap;

use everloop::client::History;
use everloop::testing::PlayedTask;
use everloop_proto::temporal::api::{
    command::v1::{Command, command::Attributes as Sent},
    common::v1::{Header, Payload, Payloads, SearchAttributes},
    enums::v1::EventType,
    history::v1::{HistoryEvent, history_event::Attributes as Event},
    protocol::v1::Message as ProtocolMessage,
    sdk::v1::UserMetadata,
    update::v1::{Acceptance, Request, Response},
};
use prost::{Message, Name};
use prost_types::Duration;

/// Compares the commands of each task with the resulting events in history, including their contents.
pub(super) fn check(of: &str, history: &History, tasks: &[PlayedTask]) {
    let events = history.events();
    let Some(Event::WorkflowExecutionStartedEventAttributes(start)) = &events[0].attributes else {
        panic!("{of}: the first event is another one")
    };
    let run_timeout = start.workflow_run_timeout.filter(|limit| *limit != Duration::default());
    let newest_rule = events.iter().flat_map(recorded_rules).max().unwrap_or_default();
    let completed = EventType::WorkflowTaskCompleted as i32;
    let starts = (0..events.len()).filter(|index| events[*index].event_type == completed);
    let recorded: Vec<(i64, Vec<String>)> = starts
        .map(|index| {
            let Some(Event::WorkflowTaskCompletedEventAttributes(completed)) = &events[index].attributes else {
                panic!("{of}: event {} has another event's attributes", index + 1)
            };
            let mut lines = vec![format!("rules {:?}", recorded_rules(&events[index]))];
            lines.extend(events[index + 1..].iter().map_while(of_event));
            (completed.started_event_id, lines)
        })
        .collect();
    let issued: Vec<(i64, Vec<String>)> = tasks
        .iter()
        .map(|task| {
            // A rule that is newer than the recording is adopted at the first use of the changed code.
            let rules: Vec<u32> = task.rules.iter().copied().filter(|rule| *rule <= newest_rule).collect();
            let mut lines = vec![format!("rules {rules:?}")];
            lines.extend(task.commands.iter().map(|command| of_command(command, &task.messages, run_timeout)));
            (task.started_event_id, lines)
        })
        .collect();
    assert!(issued == recorded, "{of}: it asked for\n{issued:#?}\nand history has\n{recorded:#?}");
}

/// Returns the rules that the worker adopted with a task.
fn recorded_rules(event: &HistoryEvent) -> Vec<u32> {
    match &event.attributes {
        Some(Event::WorkflowTaskCompletedEventAttributes(completed)) => {
            completed.sdk_metadata.as_ref().map(|metadata| metadata.lang_used_flags.clone()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// Returns `None` if the event does not come from a command.
fn of_event(event: &HistoryEvent) -> Option<String> {
    let summary = summary(event.user_metadata.as_deref());
    Some(match event.attributes.as_ref()? {
        Event::TimerStartedEventAttributes(timer) => {
            timer_started(&timer.timer_id, &timer.start_to_fire_timeout) + &summary
        }
        Event::TimerCanceledEventAttributes(timer) => timer_cancelled(&timer.timer_id),
        Event::ActivityTaskScheduledEventAttributes(activity) => {
            let kind = activity.activity_type.as_ref().map_or("", |kind| &kind.name);
            let queue = activity.task_queue.as_ref().map_or("", |queue| &queue.name);
            let input = (&activity.input, &activity.header);
            activity_scheduled(kind, &activity.activity_id, queue, input, &activity.start_to_close_timeout) + &summary
        }
        Event::ActivityTaskCancelRequestedEventAttributes(cancel) => activity_cancelled(cancel.scheduled_event_id),
        Event::WorkflowExecutionUpdateAcceptedEventAttributes(accepted) => {
            update_accepted(&accepted.protocol_instance_id, accepted.accepted_request.as_ref())
        }
        Event::WorkflowExecutionUpdateCompletedEventAttributes(done) => {
            let id = done.meta.as_ref().map_or("", |meta| &meta.update_id);
            format!("CompleteUpdate({id}) {:?}", done.outcome)
        }
        Event::MarkerRecordedEventAttributes(marker) => marker_recorded(&marker.marker_name, &marker.details),
        Event::UpsertWorkflowSearchAttributesEventAttributes(upsert) => attributes_set(&upsert.search_attributes),
        Event::WorkflowExecutionCompletedEventAttributes(done) => workflow_completed(&done.result),
        Event::WorkflowExecutionFailedEventAttributes(done) => format!("FailWorkflow {:?}", done.failure),
        Event::WorkflowExecutionCanceledEventAttributes(done) => workflow_cancelled(&done.details),
        _ => return None,
    })
}

/// The server limits the timeouts of an activity to that of the run.
fn of_command(command: &Command, messages: &[ProtocolMessage], run_timeout: Option<Duration>) -> String {
    let summary = summary(command.user_metadata.as_ref());
    match command.attributes.as_ref().expect("every command of ours has attributes") {
        Sent::StartTimerCommandAttributes(timer) => {
            timer_started(&timer.timer_id, &timer.start_to_fire_timeout) + &summary
        }
        Sent::CancelTimerCommandAttributes(timer) => timer_cancelled(&timer.timer_id),
        Sent::ScheduleActivityTaskCommandAttributes(activity) => {
            let kind = activity.activity_type.as_ref().map_or("", |kind| &kind.name);
            let queue = activity.task_queue.as_ref().map_or("", |queue| &queue.name);
            let input = (&activity.input, &activity.header);
            let limit = activity.start_to_close_timeout;
            let limit = limit.into_iter().chain(run_timeout).min_by_key(|limit| (limit.seconds, limit.nanos));
            activity_scheduled(kind, &activity.activity_id, queue, input, &limit) + &summary
        }
        Sent::RequestCancelActivityTaskCommandAttributes(cancel) => activity_cancelled(cancel.scheduled_event_id),
        Sent::ProtocolMessageCommandAttributes(place) => {
            let is_it = |message: &&ProtocolMessage| message.id == place.message_id;
            of_message(messages.iter().find(is_it).expect("a place is of a message in the same task"))
        }
        Sent::RecordMarkerCommandAttributes(marker) => marker_recorded(&marker.marker_name, &marker.details),
        Sent::UpsertWorkflowSearchAttributesCommandAttributes(upsert) => attributes_set(&upsert.search_attributes),
        Sent::CompleteWorkflowExecutionCommandAttributes(done) => workflow_completed(&done.result),
        Sent::FailWorkflowExecutionCommandAttributes(done) => format!("FailWorkflow {:?}", done.failure),
        Sent::CancelWorkflowExecutionCommandAttributes(done) => workflow_cancelled(&done.details),
        other => panic!("our executor issues no such command: {other:?}"),
    }
}

fn of_message(message: &ProtocolMessage) -> String {
    let id = &message.protocol_instance_id;
    if let Some(acceptance) = body::<Acceptance>(message) {
        return update_accepted(id, acceptance.accepted_request.as_ref());
    }
    let response = body::<Response>(message).expect("a message with a place accepts an update or responds to it");
    format!("CompleteUpdate({id}) {:?}", response.outcome)
}

fn body<M: Message + Name + Default>(message: &ProtocolMessage) -> Option<M> {
    let body = message.body.as_ref()?;
    let is_it = body.type_url.ends_with(&format!("/{}", M::full_name()));
    is_it.then(|| M::decode(body.value.as_slice()).expect("the body is of its type"))
}

fn timer_started(id: &str, duration: &Option<Duration>) -> String {
    format!("StartTimer({id}) {}", duration.unwrap_or_default())
}

fn timer_cancelled(id: &str) -> String {
    format!("CancelTimer({id})")
}

fn activity_scheduled(
    kind: &str,
    id: &str,
    queue: &str,
    (input, header): (&Option<Payloads>, &Option<Header>),
    limit: &Option<Duration>,
) -> String {
    let mut headers: Vec<_> = header.iter().flat_map(|header| &header.fields).map(|(name, _)| name).collect();
    headers.sort();
    let limit = limit.unwrap_or_default();
    format!("ScheduleActivity({kind}, id {id}) on {queue} with {}, headers {headers:?}, in {limit}", list(input))
}

fn activity_cancelled(scheduled: i64) -> String {
    format!("RequestCancelActivity(scheduled by event {scheduled})")
}

fn update_accepted(id: &str, request: Option<&Request>) -> String {
    let input = request.and_then(|request| request.input.as_ref()).expect("an accepted update has an input");
    format!("AcceptUpdate({id}) {}, {}", input.name, list(&input.args))
}

fn marker_recorded(name: &str, details: &HashMap<String, Payloads>) -> String {
    let mut details: Vec<_> =
        details.iter().map(|(name, detail)| format!("{name}: {}", list(&Some(detail.clone())))).collect();
    details.sort();
    format!("RecordMarker({name}) {}", details.join(", "))
}

fn attributes_set(attributes: &Option<SearchAttributes>) -> String {
    let fields = attributes.iter().flat_map(|attributes| &attributes.indexed_fields);
    let mut fields: Vec<_> = fields.map(|(name, value)| format!("{name}: {}", text(value))).collect();
    fields.sort();
    format!("UpsertSearchAttributes {}", fields.join(", "))
}

fn workflow_completed(result: &Option<Payloads>) -> String {
    format!("CompleteWorkflow {}", list(result))
}

fn workflow_cancelled(details: &Option<Payloads>) -> String {
    format!("CancelWorkflow {}", list(details))
}

fn summary(metadata: Option<&UserMetadata>) -> String {
    let summary = metadata.and_then(|metadata| metadata.summary.as_ref());
    summary.map(|summary| format!(", called {}", text(summary))).unwrap_or_default()
}

fn list(payloads: &Option<Payloads>) -> String {
    let texts: Vec<_> = payloads.iter().flat_map(|payloads| &payloads.payloads).map(text).collect();
    format!("[{}]", texts.join(", "))
}

/// Payloads of our workers are JSON, or empty.
fn text(payload: &Payload) -> String {
    String::from_utf8_lossy(&payload.data).into_owned()
}
