//! Checks the model against engines with one fault each.

use everloop_proto::temporal::api::history::v1 as wire;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use prost_types::Timestamp;

use super::*;
use crate::calls::{arguments, json};
use crate::observe::SeenRun;

const FLOW: &str = "flow";

/// Returns a model of one workflow that was started and got a signal, both acknowledged, and another signal that was not.
fn acknowledged_model() -> Model {
    let mut model = Model::default();
    let script = Script::default();
    for (id, kind) in [(FLOW, Kind::Start { script, with_signal: false }), ("s1", Kind::Signal), ("s2", Kind::Signal)] {
        model.apply(Entry::Sent(Operation { id: id.to_owned(), workflow_id: FLOW.to_owned(), kind }));
    }
    for (id, value) in [(FLOW, "run"), ("s1", "")] {
        answer(&mut model, id, Answer::Done(value.to_owned()));
    }
    model
}

fn answer(model: &mut Model, id: &str, answer: Answer) {
    model.apply(Entry::Answered { workflow_id: FLOW.to_owned(), id: id.to_owned(), answer });
}

fn started() -> Attributes {
    Attributes::WorkflowExecutionStartedEventAttributes(Box::new(wire::WorkflowExecutionStartedEventAttributes {
        workflow_id: FLOW.to_owned(),
        input: arguments(&Script::default()),
        ..Default::default()
    }))
}

fn signaled(id: &str) -> Attributes {
    Attributes::WorkflowExecutionSignaledEventAttributes(Box::new(wire::WorkflowExecutionSignaledEventAttributes {
        request_id: id.to_owned(),
        input: json(id),
        ..Default::default()
    }))
}

fn terminated() -> Attributes {
    Attributes::WorkflowExecutionTerminatedEventAttributes(Box::default())
}

fn event(number: usize, attributes: Attributes) -> HistoryEvent {
    HistoryEvent {
        event_id: number as i64 + 1,
        event_time: Some(Timestamp { seconds: number as i64, nanos: 0 }),
        event_type: attributes.event_type().into(),
        attributes: Some(attributes),
        ..Default::default()
    }
}

/// Returns an engine that has one run with this history, and that is consistent with itself.
fn having(events: impl IntoIterator<Item = Attributes>) -> Seen {
    let events: Vec<_> = events.into_iter().enumerate().map(|(number, it)| event(number, it)).collect();
    let status = history::status(&events);
    let closed = status != Status::Running;
    let described = Row {
        workflow_id: FLOW.to_owned(),
        run_id: "run".to_owned(),
        status,
        close_time: events.last().and_then(|event| event.event_time).filter(|_| closed),
        history_length: events.len() as i64,
    };
    let row = Row { history_length: if closed { described.history_length } else { 0 }, ..described.clone() };
    let name = if closed { "Terminated" } else { "Running" };
    Seen {
        rows: vec![row],
        counts: [(name.to_owned(), 1)].into(),
        runs: [(FLOW.to_owned(), SeenRun { described, has_started_task: false, events })].into(),
    }
}

#[track_caller]
fn assert_wrong(model: &Model, seen: &Seen, expected: &str) {
    let wrong = model.check(seen);
    assert!(wrong.iter().any(|what| what.contains(expected)), "{expected}: {wrong:#?}");
}

#[test]
fn unacknowledged_operation_may_exist_or_not() {
    let model = acknowledged_model();
    assert_eq!(model.acknowledged(), 2);
    assert_eq!(model.check(&having([started(), signaled("s1")])), [""; 0]);
    assert_eq!(model.check(&having([started(), signaled("s2"), signaled("s1")])), [""; 0]);
}

#[test]
fn acknowledged_operation_exists_once() {
    let model = acknowledged_model();
    assert_wrong(&model, &Seen::default(), "it was acknowledged, and is not there");
    assert_wrong(&model, &having([started()]), "s1 (Acknowledged): left []");
    assert_wrong(&model, &having([started(), signaled("s1"), signaled("s1")]), "left [Signal, Signal]");
    assert_wrong(&model, &having([started(), signaled("s1"), signaled("s3")]), "s3, which was never sent");
}

#[test]
fn signal_may_be_buffered_while_worker_has_task() {
    let mut seen = having([started()]);
    seen.runs.get_mut(FLOW).unwrap().has_started_task = true;
    assert_eq!(acknowledged_model().check(&seen), [""; 0]);
}

#[test]
fn state_read_once_must_stay() {
    let mut model = acknowledged_model();
    model.learn(having([started(), signaled("s2"), signaled("s1")]));
    assert_wrong(&model, &having([started(), signaled("s1")]), "events that were read before are others now");
    model.learn(having([started(), signaled("s1"), terminated()]));
    assert_wrong(&model, &having([started(), signaled("s1")]), "it was Terminated, and is Running");
}

#[test]
fn histories_have_no_gaps_and_one_end() {
    let model = acknowledged_model();
    let mut seen = having([started(), signaled("s1")]);
    seen.runs.get_mut(FLOW).unwrap().events[1].event_id = 3;
    assert_wrong(&model, &seen, "event 3 at place 2, WorkflowExecutionSignaled, cannot follow");
    let seen = having([started(), signaled("s1"), terminated(), terminated()]);
    assert_wrong(&model, &seen, "event 4 at place 4, WorkflowExecutionTerminated, cannot follow");
}

#[test]
fn lists_and_counts_agree_with_histories() {
    let model = acknowledged_model();
    let whole = || having([started(), signaled("s1")]);
    let mut seen = whole();
    seen.rows[0].status = Status::Completed;
    assert_wrong(&model, &seen, "listed as");
    let mut seen = whole();
    seen.counts.clear();
    assert_wrong(&model, &seen, "the engine counts {}");
    let mut seen = whole();
    seen.runs.get_mut(FLOW).unwrap().described.history_length = 3;
    assert_wrong(&model, &seen, "does not fit its history of 2 events");
    let mut seen = whole();
    seen.rows.push(seen.rows[0].clone());
    assert_wrong(&model, &seen, "it was started twice");
}

#[test]
fn repeated_operation_has_the_first_result() {
    let seen = having([started(), signaled("s1")]);
    let mut model = acknowledged_model();
    answer(&mut model, FLOW, Answer::Done("another".to_owned()));
    assert_wrong(&model, &seen, "its run was Some(\"run\"), and is another now");
    let mut model = acknowledged_model();
    answer(&mut model, "s1", Answer::Refused("no".to_owned()));
    assert_wrong(&model, &seen, "is rejected when repeated: no");
}

fn task_completed(started_event_id: i64) -> Attributes {
    let completed = wire::WorkflowTaskCompletedEventAttributes { started_event_id, ..Default::default() };
    Attributes::WorkflowTaskCompletedEventAttributes(completed.into())
}

#[test]
fn result_counts_acknowledged_signals_unless_terminated_before_task() {
    let mut model = acknowledged_model();
    let query = Operation { id: "q".to_owned(), workflow_id: FLOW.to_owned(), kind: Kind::Query { at_least: 1 } };
    model.apply(Entry::Sent(query));
    answer(&mut model, "q", Answer::Done("0".to_owned()));
    let short = "q: the query returned 0 signals, but 1 were acknowledged before";
    assert_wrong(&model, &having([started(), signaled("s1")]), short);
    let found = |events: Vec<Attributes>| model.check(&having(events)).iter().any(|what| what.contains(short));
    assert!(!found(vec![started(), signaled("s1"), terminated()]), "the workflow never learnt of it");
    assert!(!found(vec![started(), task_completed(1), signaled("s1"), terminated()]));
    assert!(found(vec![started(), signaled("s1"), task_completed(3), terminated()]));
}

#[test]
fn repeated_and_excess_attempts_are_found() {
    let seen = having([started(), signaled("s1")]);
    let after = |attempts: &[i32]| {
        let mut model = acknowledged_model();
        for attempt in attempts {
            model.apply(Entry::Executed {
                workflow_id: FLOW.to_owned(),
                activity_id: "1".to_owned(),
                attempt: *attempt,
                maximum_attempts: 2,
            });
        }
        model
    };
    for well in [&[1][..], &[2], &[1, 2]] {
        assert_eq!(after(well).check(&seen), [""; 0], "{well:?}");
    }
    for wrong in [&[1, 1][..], &[1, 2, 3], &[2, 1], &[0]] {
        assert_wrong(&after(wrong), &seen, &format!("1 may run 2 times, and ran as attempts {wrong:?}"));
    }
}

#[test]
fn no_run_is_open_at_the_end() {
    let mut model = acknowledged_model();
    model.learn(having([started(), signaled("s1")]));
    assert!(model.check_end()[0].contains("it does not end"), "{:?}", model.check_end());
    model.learn(having([started(), signaled("s1"), terminated()]));
    assert_eq!(model.check_end(), [""; 0]);
}
