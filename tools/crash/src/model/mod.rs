//! The acknowledged changes, which must exist after any failure.
//!
//! The model records every operation before it is sent and after its response. An operation without a response may exist or not,
//! but not twice, and once it was read it must stay. The state of an engine is compared with that.

mod check;
mod history;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use everloop_proto::temporal::api::enums::v1::WorkflowExecutionStatus as Status;
use everloop_proto::temporal::api::history::v1::HistoryEvent;

use crate::entry::{Answer, Entry, Journal, Kind, Operation};
use crate::load::Plan;
use crate::observe::{Row, Seen};
use crate::random::Random;
use crate::script::Script;

/// Number of operations that are sent again in one life although they had a response.
const AGAIN_MAX: usize = 6;

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    flows: BTreeMap<String, Flow>,
    acknowledged: u64,
    /// How often the body of an activity with a maximum has begun.
    bounded_attempts: u64,
    /// Violations that were found while recording.
    wrong: Vec<String>,
}

/// A workflow, as far as the model knows it.
#[derive(Clone, Debug)]
struct Flow {
    script: Script,
    run_id: Option<String>,
    operations: BTreeMap<String, Known>,
    /// The attempts of each activity with a maximum whose body has begun, in that order.
    bounded_attempts: BTreeMap<String, Vec<i32>>,
    short_answers: Vec<ShortAnswer>,
    /// The state at the last read.
    events: Arc<Vec<HistoryEvent>>,
    status: Status,
}

/// A query returned fewer signals than were acknowledged before. The history shows whether that is a fault.
#[derive(Clone, Debug)]
struct ShortAnswer {
    id: String,
    signals: u32,
    acknowledged: u32,
}

#[derive(Clone, Debug)]
struct Known {
    operation: Operation,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The outcome is unknown.
    Sent,
    Acknowledged,
    Refused,
}

/// The model while operations are in progress.
#[derive(Debug, Default)]
pub(crate) struct SharedModel(Mutex<Model>);

impl SharedModel {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Model> {
        // A panic while the lock is held ends the program.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Model> for SharedModel {
    fn from(model: Model) -> Self {
        Self(Mutex::new(model))
    }
}

impl Journal for SharedModel {
    fn note(&self, entry: Entry) {
        self.lock().apply(entry);
    }
}

impl Model {
    /// Number of acknowledged operations, counted once each.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Number of attempts begun of activities with a maximum.
    pub(crate) fn bounded_attempts(&self) -> u64 {
        self.bounded_attempts
    }

    pub(crate) fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Sent(operation) => self.sent(operation),
            Entry::Answered { workflow_id, id, answer } => {
                let answered = self.answered(&workflow_id, &id, answer);
                self.wrong.extend(answered.err().map(|error| format!("{workflow_id}: {id}: {error}")));
            }
            Entry::Executed { workflow_id, activity_id, attempt, maximum_attempts } => {
                self.executed(&workflow_id, &activity_id, attempt, maximum_attempts);
            }
        }
    }

    fn sent(&mut self, operation: Operation) {
        let Operation { id, workflow_id, kind } = &operation;
        if let Kind::Start { script, .. } = kind {
            self.flows.entry(workflow_id.clone()).or_insert_with(|| Flow::new(script.clone()));
        }
        match self.flows.get_mut(workflow_id) {
            Some(flow) => {
                let id = id.clone();
                flow.operations.entry(id).or_insert(Known { operation, fate: Fate::Sent });
            }
            None => self.wrong.push(format!("{workflow_id}: the engine has it, but it was never started")),
        }
    }

    fn answered(&mut self, workflow_id: &str, id: &str, answer: Answer) -> Result<(), String> {
        let flow = self.flows.get_mut(workflow_id).ok_or("a response for a workflow that was never started")?;
        let known = flow.operations.get_mut(id).ok_or("a response to an operation that was never sent")?;
        let value = match answer {
            Answer::Done(value) => value,
            Answer::Refused(reason) if known.fate == Fate::Acknowledged => {
                return Err(format!("it was acknowledged, but is rejected when repeated: {reason}"));
            }
            Answer::Refused(_) => {
                known.fate = Fate::Refused;
                return Ok(());
            }
        };
        match &known.operation.kind {
            Kind::Start { .. } if flow.run_id.as_ref().is_some_and(|run_id| *run_id != value) => {
                return Err(format!("its run was {:?}, and is {value} now", flow.run_id));
            }
            Kind::Start { .. } => flow.run_id = Some(value),
            Kind::Update { must_be_rejected: true } => return Err("it was accepted, and should not be".to_owned()),
            Kind::Update { .. } if value != id => return Err(format!("its result is {value:?}")),
            Kind::Query { at_least: acknowledged } => {
                let signals = value.parse().map_err(|_| format!("the query returned {value:?}"))?;
                if signals < *acknowledged {
                    flow.short_answers.push(ShortAnswer { id: id.to_owned(), signals, acknowledged: *acknowledged });
                }
            }
            _ => {}
        }
        if known.fate != Fate::Acknowledged {
            known.fate = Fate::Acknowledged;
            self.acknowledged += 1;
        }
        Ok(())
    }

    fn executed(&mut self, workflow_id: &str, activity_id: &str, attempt: i32, maximum_attempts: u32) {
        let Some(flow) = self.flows.get_mut(workflow_id) else {
            return self.wrong.push(format!("{workflow_id}: a worker has an activity of it, but it was never started"));
        };
        if maximum_attempts > 0 {
            self.bounded_attempts += 1;
            let begun = flow.bounded_attempts.entry(activity_id.to_owned()).or_default();
            let is_next = begun.last().is_none_or(|last| attempt > *last);
            begun.push(attempt);
            let is_allowed = u32::try_from(attempt).is_ok_and(|attempt| (1..=maximum_attempts).contains(&attempt));
            // Attempts that increase and stay within the maximum are not more than the maximum.
            if !(is_next && is_allowed) {
                self.wrong.push(format!(
                    "{workflow_id}: {activity_id} may run {maximum_attempts} times, and ran as attempts {begun:?}"
                ));
            }
        }
    }

    /// Whether the run is closed and was read to its end, so that it cannot change.
    pub(crate) fn is_settled(&self, row: &Row) -> bool {
        self.flows.get(&row.workflow_id).is_some_and(|flow| {
            flow.status != Status::Running && flow.status == row.status && flow.run_id.as_ref() == Some(&row.run_id)
        })
    }

    /// Records the state of the engine, which must stay from then on.
    pub(crate) fn learn(&mut self, seen: Seen) {
        for (workflow_id, run) in seen.runs {
            if let Some(flow) = self.flows.get_mut(&workflow_id) {
                flow.run_id = Some(run.described.run_id);
                flow.status = run.described.status;
                flow.events = Arc::new(run.events);
            }
        }
    }

    /// Returns workflows that were started, or perhaps were, and are not known to be closed.
    fn open(&self) -> impl Iterator<Item = (&String, &Flow)> {
        self.flows.iter().filter(|(_, flow)| flow.status == Status::Running && flow.run_id.is_some())
    }

    pub(crate) fn open_count(&self) -> usize {
        self.open().count()
    }

    /// Plans the next life: some new operations, and some earlier ones again.
    pub(crate) fn plan(&self, prefix: String, operations: usize, random: &mut Random) -> Plan {
        let all = self.flows.values().flat_map(|flow| flow.operations.values());
        let repeatable = all.filter(|known| known.operation.is_repeatable() && known.fate != Fate::Refused);
        let (mut answered, mut again) = (Vec::new(), Vec::new());
        for known in repeatable {
            let into = if known.fate == Fate::Sent { &mut again } else { &mut answered };
            into.push(known.operation.clone());
        }
        let sample = (0..AGAIN_MAX.min(answered.len())).map(|_| answered[random.index(answered.len())].clone());
        again.extend(sample);
        let open = self.open().map(|(workflow_id, _)| workflow_id.clone()).collect();
        Plan { prefix, seed: random.seed(), operations, is_heavy: false, open, again, wanted_signals: Vec::new() }
    }

    /// Plans the signals for which workflows wait, so that every workflow ends.
    pub(crate) fn plan_end(&self, prefix: String, random: &mut Random) -> Plan {
        let open = self.open().map(|(workflow_id, flow)| (workflow_id.clone(), flow.script.signals()));
        let wanted_signals = open.filter(|(_, signals)| *signals > 0).collect();
        let mut plan = self.plan(prefix, 0, random);
        // A new workflow would wait for signals, too.
        plan.again.retain(|operation| !matches!(operation.kind, Kind::Start { .. }));
        Plan { wanted_signals, ..plan }
    }

    /// Adds a signal that was never sent to the model. The comparison must find it missing.
    pub(crate) fn doctor(&mut self) {
        let started = self.flows.iter().find(|(_, flow)| flow.run_id.is_some());
        let Some(workflow_id) = started.map(|(workflow_id, _)| workflow_id.clone()) else { return };
        let id = "never-sent".to_owned();
        self.apply(Entry::Sent(Operation { id: id.clone(), workflow_id: workflow_id.clone(), kind: Kind::Signal }));
        self.apply(Entry::Answered { workflow_id, id, answer: Answer::Done(String::new()) });
    }
}

impl Flow {
    fn new(script: Script) -> Self {
        Self {
            script,
            run_id: None,
            operations: BTreeMap::new(),
            bounded_attempts: BTreeMap::new(),
            short_answers: Vec::new(),
            events: Arc::default(),
            status: Status::Running,
        }
    }
}

#[cfg(test)]
mod tests;
