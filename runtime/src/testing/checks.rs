//! The replay check: the tasks of each workflow are replayed from its history, and must have the same outcome.
//!
//! While a workflow runs, a shadow of it on another thread replays each task as soon as its events are recorded. When a
//! result is awaited and the workflow has ended, its whole history is replayed once more, cut into pages at random.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use everloop_proto::temporal::api::history::v1::HistoryEvent;

use tracing::Dispatch;
use uuid::Uuid;

use super::playback;
use super::update_outcomes::UpdateOutcomes;
use crate::activity::ActivityInfo;
use crate::client::{CheckResult, FailureBoard};
use crate::data::Failure;
use crate::executor::{Definition, Run, Step, Task};
use crate::history::History;
use crate::worker::Observer;

/// The default number of failures of an activity without a limit on attempts.
const MAX_ATTEMPTS: u32 = 10;
/// The number of runs that are replayed while they are recorded. A terminated run never reports its end.
const SHADOWS: usize = 1000;

/// Watches the workers of an environment.
pub(super) struct Checks {
    board: Arc<FailureBoard>,
    /// Whether failed workflow tasks are retried without failing calls.
    retries_tasks: AtomicBool,
    /// The number of failures of an activity without a limit after which the workflow's result fails.
    max_attempts: AtomicU32,
    shadows: Mutex<Sender<News>>,
    definitions: Mutex<BTreeMap<String, Arc<dyn Definition>>>,
}

/// A message for the shadows.
enum News {
    Recorded(Recorded),
    /// The end of this run is recorded, so its shadow is dropped.
    Closed(String),
}

/// Events that were recorded of a run.
struct Recorded {
    workflow_id: String,
    run_id: String,
    definition: Arc<dyn Definition>,
    events: Vec<HistoryEvent>,
}

impl Checks {
    pub(super) fn start(board: Arc<FailureBoard>) -> std::io::Result<Arc<Self>> {
        let (sender, inbox) = channel();
        let reports = board.clone();
        std::thread::Builder::new().name("everloop-replay-check".to_owned()).spawn(move || {
            // The worker has logged the same lines already.
            tracing::dispatcher::with_default(&Dispatch::none(), || shadow(&inbox, &reports));
        })?;
        Ok(Arc::new(Self {
            board,
            retries_tasks: AtomicBool::new(false),
            max_attempts: AtomicU32::new(MAX_ATTEMPTS),
            shadows: Mutex::new(sender),
            definitions: Mutex::default(),
        }))
    }

    pub(super) fn retry_workflow_tasks(&self) {
        self.retries_tasks.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_max_attempts(&self, attempts: u32) {
        self.max_attempts.store(attempts, Ordering::Relaxed);
    }

    fn send(&self, news: News) {
        if self.shadows.lock().unwrap_or_else(PoisonError::into_inner).send(news).is_err() {
            // Before this sender is dropped, only workflow code can end the thread. A test must not pass unchecked.
            tracing::error!("the replay check has stopped: histories are checked at their end only");
        }
    }
}

impl CheckResult for Checks {
    fn check(&self, history: &History) -> Result<(), Box<Failure>> {
        let definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        // Without the code of a worker of this environment there is nothing to compare.
        let Some(definition) = definitions.get(history.workflow_type()).cloned() else { return Ok(()) };
        drop(definitions);
        let cuts = random_cuts(history.len());
        let checked = playback::on_own_thread(|| playback::check(&definition, history, &cuts));
        checked.map_err(|message| {
            let message = format!("the replay check found: {message}");
            Failure::application("NondeterminismError", message).into()
        })
    }
}

/// Chooses up to three places at which pages end.
fn random_cuts(events: usize) -> Vec<usize> {
    let random = Uuid::new_v4();
    let mut cuts: Vec<usize> =
        random.as_bytes().chunks(5).map(|bytes| 1 + usize::from(bytes[0]) * events / 256).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

impl Observer for Checks {
    fn task_begins(&self, workflow_id: &str, run_id: &str, definition: &Arc<dyn Definition>, events: &[HistoryEvent]) {
        let mut definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        definitions.entry(definition.name().to_owned()).or_insert_with(|| definition.clone());
        drop(definitions);
        let recorded = Recorded {
            workflow_id: workflow_id.to_owned(),
            run_id: run_id.to_owned(),
            definition: definition.clone(),
            events: events.to_vec(),
        };
        self.send(News::Recorded(recorded));
    }

    fn task_failed(&self, workflow_id: &str, run_id: &str, failure: &Failure) {
        if !self.retries_tasks.load(Ordering::Relaxed) {
            self.board.report(workflow_id, run_id, failure.clone());
        }
    }

    fn attempt_failed(&self, info: &ActivityInfo, failure: &Failure) {
        let ActivityInfo { workflow_id, run_id, activity_type, attempt, .. } = info;
        if *attempt >= self.max_attempts.load(Ordering::Relaxed) {
            let message = format!(
                "the activity `{activity_type}` failed {attempt} times, and would be tried for ever; last: {failure}; limit its \
                 attempts, or allow more with `env.max_activity_attempts(..)`"
            );
            self.board.report(workflow_id, run_id, Failure::application("TooManyAttempts", message));
        }
    }

    fn run_closed(&self, _workflow_id: &str, run_id: &str) {
        self.send(News::Closed(run_id.to_owned()));
    }
}

/// A run that is replayed while it is recorded.
struct Shadow {
    run_id: String,
    run: Run,
    updates: UpdateOutcomes,
}

/// The runs that are replayed while they are recorded.
#[derive(Default)]
struct Shadows {
    /// The oldest one first.
    kept: Vec<Shadow>,
}

/// Replays runs as the workers report their events.
fn shadow(inbox: &Receiver<News>, board: &FailureBoard) {
    let mut shadows = Shadows::default();
    for news in inbox {
        match news {
            News::Recorded(recorded) => shadows.extend(recorded, board),
            News::Closed(run_id) => shadows.kept.retain(|shadow| shadow.run_id != run_id),
        }
    }
}

impl Shadows {
    fn extend(&mut self, recorded: Recorded, board: &FailureBoard) {
        let Recorded { workflow_id, run_id, definition, events } = recorded;
        let Some(first) = events.first().map(|event| event.event_id) else { return };
        let known = self.kept.iter().position(|shadow| shadow.run_id == run_id);
        let next = known.filter(|known| self.kept[*known].run.next_event_id() == first);
        if let (Some(known), None) = (known, next) {
            self.kept.remove(known);
        }
        let index = match next {
            Some(next) => next,
            None if first == 1 => self.add(Shadow::new(&definition, &workflow_id, &run_id)),
            // The worker is about to fetch the whole history.
            None => return,
        };
        if let Err(difference) = self.kept[index].extend(events) {
            self.kept.remove(index);
            let message = format!("the replay check found: {difference}");
            board.report(&workflow_id, &run_id, Failure::application("NondeterminismError", message));
        }
    }

    fn add(&mut self, shadow: Shadow) -> usize {
        if self.kept.len() == SHADOWS {
            self.kept.remove(0);
        }
        self.kept.push(shadow);
        self.kept.len() - 1
    }
}

impl Shadow {
    fn new(definition: &Arc<dyn Definition>, workflow_id: &str, run_id: &str) -> Self {
        let (definition, updates) = UpdateOutcomes::observe(definition);
        let run = playback::new_run(&definition, workflow_id, run_id);
        run.compare_payloads();
        Self { run_id: run_id.to_owned(), run, updates }
    }

    /// Replays the tasks whose outputs are recorded. The last task waits for its outputs.
    fn extend(&mut self, events: Vec<HistoryEvent>) -> Result<(), String> {
        self.updates.read(&events);
        // More events always follow: the task that the worker runs now is replayed once its outputs are known.
        let mut step = match events.first() {
            Some(first) if first.event_id == 1 => self.run.begin(Task { events, more: true, updates: Vec::new() }),
            _ => self.run.extend(events, true),
        };
        while let Step::Yielded = step {
            step = self.run.resume();
        }
        match step {
            Step::Failed(failure) => Err(failure.to_string()),
            _ => self.updates.check(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::executor::tests::story::workflow;

    #[test]
    fn runs_that_never_close_do_not_add_up() {
        let (mut shadows, board) = (Shadows::default(), FailureBoard::default());
        let mut story = workflow(|_: Rc<()>| std::future::pending()).story();
        let events = story.offered();
        for number in 0..=SHADOWS {
            let recorded = Recorded {
                workflow_id: "it".to_owned(),
                run_id: number.to_string(),
                definition: story.definition.clone(),
                events: events.clone(),
            };
            shadows.extend(recorded, &board);
        }
        assert_eq!(shadows.kept.len(), SHADOWS);
        assert_eq!(shadows.kept[0].run_id, "1", "the oldest one is dropped");
    }
}
