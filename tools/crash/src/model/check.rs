//! Compares the state of an engine with the model.

use std::collections::BTreeMap;

use everloop_proto::temporal::api::enums::v1::{EventType, WorkflowExecutionStatus as Status};
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;

use super::history::{self, Trace, traces};
use super::{Fate, Flow, Known, Model, ShortAnswer};
use crate::calls::{arguments, from_json};
use crate::entry::Kind;
use crate::observe::{Row, Seen, SeenRun};

/// The engine's names of statuses in counts.
fn name(status: Status) -> String {
    let words = status.as_str_name().trim_start_matches("WORKFLOW_EXECUTION_STATUS_").split('_');
    words.map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect()
}

impl Model {
    /// Returns a description of every violation in the observed state.
    pub(crate) fn check(&self, seen: &Seen) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        wrong.extend(self.check_rows(seen));
        for (workflow_id, flow) in &self.flows {
            let events = seen.runs.get(workflow_id).map_or(&*flow.events, |run| &run.events);
            let found = flow.short_answers.iter().filter_map(|answer| answer.check(events));
            wrong.extend(found.map(|what| format!("{workflow_id}: {what}, in\n{}", history::text(events))));
        }
        for (workflow_id, run) in &seen.runs {
            let Some(flow) = self.flows.get(workflow_id) else { continue };
            let found = flow.check(run);
            if !found.is_empty() {
                let history = history::text(&run.events);
                wrong.extend(found.into_iter().map(|what| format!("{workflow_id}: {what}, in\n{history}")));
            }
        }
        wrong
    }

    /// Returns the violations after all workflows have ended and were read.
    pub(crate) fn check_end(&self) -> Vec<String> {
        let open = self.open().map(|(workflow_id, flow)| {
            format!("{workflow_id}: it does not end, having\n{}", history::text(&flow.events))
        });
        let ended = self.flows.iter().filter(|(_, flow)| flow.status == Status::Completed);
        let unlike_script = ended.filter_map(|(workflow_id, flow)| {
            let wrong = flow.check_completed().err()?;
            Some(format!("{workflow_id}: {wrong}, in\n{}", history::text(&flow.events)))
        });
        open.chain(unlike_script).collect()
    }

    fn check_rows(&self, seen: &Seen) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut rows = BTreeMap::<&str, &Row>::new();
        let mut counts = BTreeMap::<String, i64>::new();
        for row in &seen.rows {
            *counts.entry(name(row.status)).or_default() += 1;
            if rows.insert(&row.workflow_id, row).is_some() {
                wrong.push(format!("{}: it was started twice", row.workflow_id));
            }
            match self.flows.get(&row.workflow_id) {
                None => wrong.push(format!("{}: it is listed, but was never started", row.workflow_id)),
                Some(flow) => wrong.extend(flow.check_row(row).map(|what| format!("{}: {what}", row.workflow_id))),
            }
        }
        for (workflow_id, flow) in &self.flows {
            if flow.must_exist() && !rows.contains_key(workflow_id.as_str()) {
                wrong.push(format!("{workflow_id}: it was acknowledged, and is not there"));
            }
        }
        if counts != seen.counts {
            wrong.push(format!("the list has {counts:?}, the engine counts {:?}", seen.counts));
        }
        for (workflow_id, run) in &seen.runs {
            if let Some(row) = rows.get(workflow_id.as_str()) {
                wrong.extend(check_description(row, run).map(|what| format!("{workflow_id}: {what}")));
            }
        }
        wrong
    }
}

/// Checks that list, description and history agree.
fn check_description(row: &Row, run: &SeenRun) -> Option<String> {
    let described = &run.described;
    let length = run.events.len() as i64;
    if described.status != history::status(&run.events) || described.history_length != length {
        return Some(format!(
            "{described:?} does not fit its history of {length} events\n{}",
            history::text(&run.events)
        ));
    }
    let closed = run.events.last().and_then(|event| event.event_time).filter(|_| described.status != Status::Running);
    if described.close_time != closed {
        return Some(format!("it closed at {:?}, and its last event was at {closed:?}", described.close_time));
    }
    let mut as_listed = described.clone();
    if described.status == Status::Running {
        as_listed.history_length = 0;
    }
    (as_listed != *row).then(|| format!("described as {described:?} and listed as {row:?}"))
}

impl Flow {
    /// Whether the workflow must exist: its start or a later operation was acknowledged, or it was read before.
    fn must_exist(&self) -> bool {
        self.run_id.is_some() || self.operations.values().any(|known| known.fate == Fate::Acknowledged)
    }

    fn check_row(&self, row: &Row) -> Option<String> {
        if let Some(run_id) = &self.run_id
            && *run_id != row.run_id
        {
            return Some(format!("its run was {run_id}, and is {} now", row.run_id));
        }
        let was_closed = self.status != Status::Running;
        (was_closed && self.status != row.status).then(|| format!("it was {:?}, and is {:?}", self.status, row.status))
    }

    fn check(&self, run: &SeenRun) -> Vec<String> {
        let mut wrong = Vec::new();
        wrong.extend(history::check(&run.events).err());
        if !run.events.starts_with(&self.events) {
            wrong.push(format!(
                "events that were read before are others now; they were\n{}",
                history::text(&self.events)
            ));
        }
        let started = run.events.first().and_then(|event| event.attributes.as_ref());
        let input = match started {
            Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) => started.input.as_ref(),
            _ => None,
        };
        if input != arguments(&self.script).as_ref() {
            wrong.push("its input is not what was sent".to_owned());
        }
        let mut found = BTreeMap::<String, Vec<Trace>>::new();
        for (id, trace) in traces(&run.events) {
            if !self.operations.contains_key(&id) {
                wrong.push(format!("{trace:?} of {id}, which was never sent"));
            }
            found.entry(id).or_default().push(trace);
        }
        for (id, known) in &self.operations {
            let found = found.get(id).map(Vec::as_slice).unwrap_or_default();
            wrong.extend(known.check(found, run).map(|what| format!("{id} ({:?}): {what}", known.fate)));
        }
        wrong
    }

    /// Checks that a completed workflow followed its script.
    fn check_completed(&self) -> Result<(), String> {
        let count = |kind: EventType| self.events.iter().filter(|event| event.event_type() == kind).count();
        let script = &self.script;
        let expected = [
            (EventType::TimerFired, script.timers()),
            (EventType::ActivityTaskScheduled, script.activities()),
            (EventType::ActivityTaskStarted, script.activities()),
        ];
        for (kind, expected) in expected {
            if count(kind) != expected {
                return Err(format!("{} of {kind:?}, and the script has {expected}", count(kind)));
            }
        }
        let signals = count(EventType::WorkflowExecutionSignaled);
        let result: Option<usize> = match self.events.last().and_then(|event| event.attributes.as_ref()) {
            Some(Attributes::WorkflowExecutionCompletedEventAttributes(done)) => from_json(done.result.as_ref()),
            _ => None,
        };
        if result == Some(signals) { Ok(()) } else { Err(format!("it counted {result:?} of {signals} signals")) }
    }
}

impl ShortAnswer {
    fn check(&self, events: &[HistoryEvent]) -> Option<String> {
        let Self { id, signals, acknowledged } = self;
        // A terminated workflow may not have seen signals that no task delivered.
        let expected = match history::status(events) {
            Status::Terminated => history::signals_brought(events).min(*acknowledged),
            _ => *acknowledged,
        };
        (*signals < expected)
            .then(|| format!("{id}: the query returned {signals} signals, but {acknowledged} were acknowledged before"))
    }
}

impl Known {
    /// Whether this is a possible trace of the operation.
    fn check(&self, found: &[Trace], run: &SeenRun) -> Option<String> {
        let may_wait = run.has_started_task && run.described.status == Status::Running;
        let expected = match self.traces() {
            Some(expected) => expected,
            // A history has the first request to cancel only, and none after the run has ended.
            None if self.operation.kind == Kind::Cancel => return self.check_cancel(found, run, may_wait),
            None => Vec::new(),
        };
        // Events that arrive while a worker has a task are written after the task; all others at once.
        let may_wait = may_wait && matches!(self.operation.kind, Kind::Signal | Kind::Activity { .. });
        let is_there = found == expected;
        let is_well = match self.fate {
            Fate::Acknowledged => is_there || (found.is_empty() && may_wait),
            Fate::Refused => found.is_empty(),
            Fate::Sent => is_there || found.is_empty(),
        };
        (!is_well).then(|| format!("left {found:?}, and should {expected:?}"))
    }

    /// Returns the full trace of a successful operation; `None` if that depends on other operations.
    fn traces(&self) -> Option<Vec<Trace>> {
        let id = &self.operation.id;
        Some(match &self.operation.kind {
            Kind::Start { with_signal: false, .. } => vec![Trace::Start],
            Kind::Start { with_signal: true, .. } => vec![Trace::Start, Trace::Signal],
            Kind::Signal => vec![Trace::Signal],
            Kind::Update { must_be_rejected: false } => vec![Trace::Accepted, Trace::Updated(Some(id.clone()))],
            Kind::Terminate => vec![Trace::Terminate],
            Kind::Activity { activity_id, attempt } => vec![Trace::Activity(activity_id.clone(), *attempt)],
            Kind::WorkflowTask => vec![Trace::WorkflowTask],
            Kind::Update { must_be_rejected: true } | Kind::Query { .. } => Vec::new(),
            Kind::Cancel => return None,
        })
    }

    fn check_cancel(&self, found: &[Trace], run: &SeenRun, may_wait: bool) -> Option<String> {
        let is_cancelled =
            run.events.iter().any(|event| event.event_type() == EventType::WorkflowExecutionCancelRequested);
        let has_ended = run.described.status != Status::Running;
        let is_well = match self.fate {
            Fate::Acknowledged => found.len() <= 1 && (is_cancelled || has_ended || may_wait),
            Fate::Refused => found.is_empty(),
            Fate::Sent => found.len() <= 1,
        };
        (!is_well).then(|| format!("left {found:?}"))
    }
}
