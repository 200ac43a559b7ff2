//! The replay check: what a worker does is done again from what was recorded, and must come out the same.
//!
//! While a workflow runs, a shadow of it on another thread replays each task as soon as its events are recorded. When a
//! result is awaited and the workflow has ended, its whole history is replayed once more, cut into pages at random.

use std::collections::{BTreeMap, HashMap};
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

/// How often an activity without a limit of attempts may fail, unless set.
const MAX_ATTEMPTS: u32 = 10;

/// Watches the workers of an environment.
pub(super) struct Checks {
    board: Arc<FailureBoard>,
    /// Whether failed workflow tasks are tried again, and fail no call.
    retries_tasks: AtomicBool,
    /// How often an activity without a limit may fail before the result does.
    max_attempts: AtomicU32,
    shadows: Mutex<Sender<News>>,
    definitions: Mutex<BTreeMap<String, Arc<dyn Definition>>>,
}

/// What the shadows learn.
enum News {
    Recorded(Recorded),
    /// The end of this run is recorded: its shadow goes.
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
            // What workflow code logs was logged when it happened.
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

    fn tell(&self, news: News) {
        if self.shadows.lock().unwrap_or_else(PoisonError::into_inner).send(news).is_err() {
            // The thread ends only with this sender, unless workflow code ended it: a test must not pass unchecked.
            tracing::error!("the replay check has stopped: histories are checked at their end only");
        }
    }
}

impl CheckResult for Checks {
    fn check(&self, history: &History) -> Result<(), Box<Failure>> {
        let definitions = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        // A workflow that no worker of this environment has run is not ours to judge.
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

/// Up to three places to end a page.
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
        self.tell(News::Recorded(recorded));
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
        self.tell(News::Closed(run_id.to_owned()));
    }
}

/// A run that is replayed while it is recorded.
struct Shadow {
    run: Run,
    updates: UpdateOutcomes,
}

impl Shadow {
    fn new(definition: &Arc<dyn Definition>, workflow_id: &str, run_id: &str) -> Self {
        let (definition, updates) = UpdateOutcomes::observe(definition);
        let run = playback::new_run(&definition, workflow_id, run_id);
        run.compare_payloads();
        Self { run, updates }
    }

    /// Replays the tasks whose outputs are recorded. The last one waits for its outputs.
    fn extend(&mut self, events: Vec<HistoryEvent>) -> Result<(), String> {
        self.updates.read(&events);
        // More always comes: the task that is being done now is replayed when its outputs are known.
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

/// Replays what is recorded, run by run.
fn shadow(inbox: &Receiver<News>, board: &FailureBoard) {
    let mut shadows: HashMap<String, Shadow> = HashMap::new();
    for news in inbox {
        let Recorded { workflow_id, run_id, definition, events } = match news {
            News::Recorded(recorded) => recorded,
            News::Closed(run_id) => {
                shadows.remove(&run_id);
                continue;
            }
        };
        let Some(first) = events.first().map(|event| event.event_id) else { continue };
        let is_next = shadows.get(&run_id).is_some_and(|shadow| shadow.run.next_event_id() == first);
        if !is_next {
            shadows.remove(&run_id);
        }
        if first != 1 && !is_next {
            // The worker is about to ask for the whole history.
            continue;
        }
        let shadow = shadows.entry(run_id.clone()).or_insert_with(|| Shadow::new(&definition, &workflow_id, &run_id));
        if let Err(difference) = shadow.extend(events) {
            let message = format!("the replay check found: {difference}");
            let failure = Failure::application("NondeterminismError", message);
            board.report(&workflow_id, &run_id, failure);
            shadows.remove(&run_id);
        }
    }
}
