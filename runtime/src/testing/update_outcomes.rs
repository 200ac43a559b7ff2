//! Compares the outcomes of updates when the same code runs again.
//!
//! A history has an update's outcome apart from the command that completes the update, so an ordinary replay does not compare
//! it. A rejected update leaves nothing in the history to compare, and its validator may depend on the clock.

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use everloop_proto::temporal::api::update::v1::outcome::Value;

use crate::data::{DecodeError, Failure, Headers};
use crate::errors::WorkflowError;
use crate::executor::{Definition, Instance, LocalFuture, Started};
use crate::raw;

/// The number of a value's characters in a message.
const SHOWN_MAX: usize = 120;

type Outcome = Result<raw::Payload, Box<Failure>>;

/// The updates of one run: their outcomes in history, and those of a replay.
pub(super) struct UpdateOutcomes {
    /// The updates in the order in which history accepted them.
    accepted: Vec<AcceptedUpdate>,
    replayed: ReplayedOutcomes,
}

struct AcceptedUpdate {
    id: String,
    name: String,
    /// The event that completed the update, with its outcome.
    completed: Option<(i64, Outcome)>,
}

/// Outcomes that have not been compared yet, each with the position of its update among the accepted ones.
type ReplayedOutcomes = Arc<Mutex<Vec<(usize, Outcome)>>>;

impl UpdateOutcomes {
    /// Wraps a workflow type, to compare the updates of one run.
    pub(super) fn observe(definition: &Arc<dyn Definition>) -> (Arc<dyn Definition>, Self) {
        let replayed = ReplayedOutcomes::default();
        let observed = ObservedDefinition { definition: definition.clone(), replayed: replayed.clone() };
        (Arc::new(observed), Self { accepted: Vec::new(), replayed })
    }

    /// Reads the next events of the run's history.
    pub(super) fn read(&mut self, events: &[HistoryEvent]) {
        for event in events {
            match &event.attributes {
                Some(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(accepted)) => {
                    // A replay skips events without the request as well.
                    let Some(request) = &accepted.accepted_request else { continue };
                    let name = request.input.as_ref().map(|input| input.name.clone()).unwrap_or_default();
                    let id = accepted.protocol_instance_id.clone();
                    self.accepted.push(AcceptedUpdate { id, name, completed: None });
                }
                Some(Attributes::WorkflowExecutionUpdateCompletedEventAttributes(completed)) => {
                    let id = completed.meta.as_ref().map(|meta| meta.update_id.as_str()).unwrap_or_default();
                    let update = self.accepted.iter_mut().rfind(|update| update.id == id);
                    let outcome = completed.outcome.clone().and_then(|outcome| outcome.value);
                    if let (Some(update), Some(outcome)) = (update, outcome) {
                        update.completed = Some((event.event_id, recorded(outcome)));
                    }
                }
                _ => {}
            }
        }
    }

    /// Compares the outcomes of the replay with those that the history has.
    ///
    /// # Errors
    /// The first difference, with its likely cause.
    pub(super) fn check(&mut self) -> Result<(), String> {
        let replayed = std::mem::take(&mut *self.replayed.lock().unwrap_or_else(PoisonError::into_inner));
        for (position, now) in replayed {
            let Some(AcceptedUpdate { id, name, completed: Some((event_id, recorded)) }) = self.accepted.get(position)
            else {
                // The update completes in the current task.
                continue;
            };
            if !is_same(recorded, &now) {
                return Err(format!(
                    "event {event_id}: the update `{name}` (id `{id}`) {} at first and {} when the same code ran again; the \
                     workflow depends on something that differs between runs: most often the order of a `HashMap` or \
                     `HashSet` (take a `BTreeMap` or `BTreeSet`), else a clock (`workflow::now()`) or a random number (`workflow::random()`)",
                    shown(recorded),
                    shown(&now)
                ));
            }
        }
        Ok(())
    }
}

fn recorded(outcome: Value) -> Outcome {
    match outcome {
        Value::Success(payloads) => Ok(payloads.payloads.into_iter().next().unwrap_or_default()),
        Value::Failure(failure) => Err(Failure::from_wire(failure).into()),
    }
}

fn is_same(recorded: &Outcome, now: &Outcome) -> bool {
    match (recorded, now) {
        (Ok(recorded), Ok(now)) => is_same_value(recorded, now),
        (Err(recorded), Err(now)) => {
            let details = |failure: &Failure| failure.details().cloned().unwrap_or_default().into_raw();
            let (recorded_details, details) = (details(recorded), details(now));
            // The text contains types and messages of the failure and its causes.
            recorded.to_string() == now.to_string()
                && recorded_details.len() == details.len()
                && recorded_details.iter().zip(&details).all(|(recorded, now)| is_same_value(recorded, now))
        }
        _ => false,
    }
}

/// JSON is compared as a value: a map may be encoded in any order.
fn is_same_value(recorded: &raw::Payload, now: &raw::Payload) -> bool {
    let json = |payload: &raw::Payload| serde_json::from_slice::<serde_json::Value>(&payload.data).ok();
    recorded.metadata == now.metadata
        && (recorded.data == now.data || json(recorded).is_some_and(|recorded| json(now) == Some(recorded)))
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Ok(payload) => match std::str::from_utf8(&payload.data) {
            Ok(text) => format!("returned {}", shortened(text)),
            Err(_) => format!("returned {} bytes", payload.data.len()),
        },
        Err(failure) => format!("failed with `{}`", shortened(&failure.to_string())),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A workflow type that reports the outcomes of its updates.
struct ObservedDefinition {
    definition: Arc<dyn Definition>,
    replayed: ReplayedOutcomes,
}

impl Definition for ObservedDefinition {
    fn name(&self) -> &'static str {
        self.definition.name()
    }

    fn instantiate(&self, input: &[raw::Payload]) -> Result<Rc<dyn Instance>, DecodeError> {
        let instance = self.definition.instantiate(input)?;
        Ok(Rc::new(ObservedInstance { instance, accepted: Cell::new(0), replayed: self.replayed.clone() }))
    }
}

struct ObservedInstance {
    instance: Rc<dyn Instance>,
    /// The number of accepted updates.
    accepted: Cell<usize>,
    replayed: ReplayedOutcomes,
}

impl Instance for ObservedInstance {
    fn update(&self, name: &str, input: &[raw::Payload], headers: &Headers) -> Option<Started<raw::Payload>> {
        let started = self.instance.update(name, input, headers)?;
        let position = self.accepted.replace(self.accepted.get() + 1);
        let replayed = self.replayed.clone();
        let report =
            move |outcome: Outcome| replayed.lock().unwrap_or_else(PoisonError::into_inner).push((position, outcome));
        Some(match started {
            Ok((handler, unfinished)) => {
                let observed: LocalFuture<_> = Box::pin(async move {
                    let result = handler.await;
                    report(
                        result
                            .as_ref()
                            .map(Clone::clone)
                            .map_err(|error: &WorkflowError| error.failure().clone().into()),
                    );
                    result
                });
                Ok((observed, unfinished))
            }
            Err(cause) => {
                report(Err(WorkflowError::from(cause.clone()).into_failure().into()));
                Err(cause)
            }
        })
    }

    fn run(
        &self,
        input: &[raw::Payload],
        headers: &Headers,
    ) -> Result<LocalFuture<Result<raw::Payload, WorkflowError>>, DecodeError> {
        self.instance.run(input, headers)
    }

    fn signal(&self, name: &str, input: &[raw::Payload], headers: &Headers) -> Option<Started<()>> {
        self.instance.signal(name, input, headers)
    }

    fn query(
        &self,
        name: &str,
        input: &[raw::Payload],
        headers: &Headers,
    ) -> Option<Result<raw::Payload, WorkflowError>> {
        self.instance.query(name, input, headers)
    }

    fn validate(&self, name: &str, input: &[raw::Payload], headers: &Headers) -> Option<Result<(), WorkflowError>> {
        self.instance.validate(name, input, headers)
    }

    fn signal_names(&self) -> Vec<&'static str> {
        self.instance.signal_names()
    }

    fn query_names(&self) -> Vec<&'static str> {
        self.instance.query_names()
    }

    fn update_names(&self) -> Vec<&'static str> {
        self.instance.update_names()
    }

    fn workflow(&self) -> Rc<dyn Any> {
        self.instance.workflow()
    }
}
