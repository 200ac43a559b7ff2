//! One run: tasks in, steps out.

mod clock;
mod coroutines;
mod inputs;
mod phase;
pub(super) mod query;
mod tasks;
mod teardown;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use everloop_proto::temporal::api::command::v1::Command;
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::protocol::v1::Message;

use self::phase::{Phase, Unconfirmed};
use super::core::{Core, SharedCore};
use super::coroutine::{Coroutine, LastLine};
use super::current;
use super::definition::{Definition, Instance};
use super::error::TaskFailure;
use super::history::Reader;
use super::operations::{LocalEnded, LocalRequest};
use super::panic::Panic;
use super::rules::Rules;
use super::update::Update;
use crate::data::{Failure, Headers, UnfinishedPolicy, WorkerActivityOptions};

/// Options of a run.
#[derive(Debug, Clone)]
pub(crate) struct RunOptions {
    pub(crate) namespace: String,
    pub(crate) workflow_id: String,
    pub(crate) run_id: String,
    /// The worker's options for the activities that the workflow calls.
    pub(crate) activity_options: Arc<WorkerActivityOptions>,
    /// Whether the server keeps SDK metadata.
    pub(crate) rules_supported: bool,
}

/// A workflow task of the server.
#[derive(Debug, Default)]
pub(crate) struct Task {
    /// The events that the run has not processed; for a new run, those from event 1.
    pub(crate) events: Vec<HistoryEvent>,
    /// Whether pages follow, for [`Run::extend`].
    pub(crate) more: bool,
    pub(crate) updates: Vec<Update>,
}

/// The result of a call: the task is done, or the run needs another call.
#[derive(Debug)]
pub(crate) enum Step {
    /// The task is done: send this completion.
    Complete(Completion),
    /// There was no task to complete, as with a query: the run has processed its whole history.
    Settled,
    /// The run needs the next page, by [`Run::extend`].
    NeedHistory,
    /// The task waits for local activities: [`Run::take_local_requests`] has what the worker must do, [`Run::local_ended`] takes
    /// their results, and [`Run::complete_early`] completes the task without them.
    WaitsForLocal,
    /// A long replay pauses for other runs: call [`Run::resume`].
    Yielded,
    /// The task fails, and the run is lost: drop it.
    Failed(TaskFailure),
}

/// The content of a completed task.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Completion {
    pub(crate) commands: Vec<Command>,
    pub(crate) messages: Vec<Message>,
    /// Rule numbers to record in the SDK metadata.
    pub(crate) rules: Vec<u32>,
    /// Warnings for the worker's log.
    pub(crate) warnings: Vec<String>,
    /// Whether the workflow ends with this task.
    pub(crate) closes: bool,
    /// Whether local activities run on, so that another task must follow at once.
    pub(crate) goes_on: bool,
}

/// The number of replayed tasks after which other runs have a turn. It is small in tests, whose histories are short.
const TASKS_PER_TURN: usize = if cfg!(test) { 4 } else { 200 };

/// One execution of one workflow, from its first event on.
///
/// Call [`begin`](Self::begin) for each workflow task, then [`extend`](Self::extend) or [`resume`](Self::resume) as the steps
/// require; [`query`](Self::query) once a step has settled the run. After [`Step::Failed`] every call returns the same failure.
pub(crate) struct Run {
    definition: Arc<dyn Definition>,
    options: RunOptions,
    core: SharedCore,
    reader: Reader,
    rules: Rules,
    /// Whether the last recorded SDK name is Everloop's: only then the rule numbers have the meanings of [`Rules`].
    recorded_by_us: bool,
    instance: Option<Rc<dyn Instance>>,
    coroutines: BTreeMap<u64, Coroutine>,
    handlers: BTreeMap<u64, RunningHandler>,
    last_started_event_id: i64,
    /// Results that the live task has not delivered yet.
    ended_local: VecDeque<LocalEnded>,
    phase: Phase,
}

struct RunningHandler {
    description: String,
    unfinished: UnfinishedPolicy,
}

impl Run {
    pub(crate) fn new(definition: Arc<dyn Definition>, options: RunOptions) -> Self {
        Self {
            core: Core::shared(&options.run_id, options.activity_options.clone(), options.rules_supported, &definition),
            rules: Rules::new(options.rules_supported),
            definition,
            options,
            reader: Reader::new(),
            recorded_by_us: false,
            instance: None,
            coroutines: BTreeMap::new(),
            handlers: BTreeMap::new(),
            last_started_event_id: 0,
            ended_local: VecDeque::new(),
            phase: Phase::Idle { unconfirmed: None },
        }
    }

    /// Takes a workflow task, whose first event is [`next_event_id`](Self::next_event_id).
    pub(crate) fn begin(&mut self, task: Task) -> Step {
        self.phase.read_history(task.updates);
        self.take_page(task.events, task.more)
    }

    /// Takes the next page of history, which the last step requested.
    pub(crate) fn extend(&mut self, events: Vec<HistoryEvent>, more: bool) -> Step {
        if !matches!(self.phase, Phase::Replaying(_)) {
            self.phase.read_history(Vec::new());
        }
        self.take_page(events, more)
    }

    fn take_page(&mut self, events: Vec<HistoryEvent>, more: bool) -> Step {
        if let Phase::Failed(failure) = &self.phase {
            return Step::Failed(failure.clone());
        }
        match self.reader.extend(events, more) {
            Ok(()) => self.resume(),
            Err(error) => self.fail(error.into()),
        }
    }

    /// Takes results of local activities, after [`Step::WaitsForLocal`]. Each is a step of its own, in this order.
    pub(crate) fn local_ended(&mut self, ended: impl IntoIterator<Item = LocalEnded>) -> Step {
        self.ended_local.extend(ended);
        self.resume()
    }

    /// Completes the task that waits for local activities. They run on, and their results are delivered by the tasks that follow.
    pub(crate) fn complete_early(&mut self) -> Step {
        match &self.phase {
            Phase::Live(_) => self.complete(true),
            Phase::Failed(failure) => Step::Failed(failure.clone()),
            _ => Step::Settled,
        }
    }

    /// Requests to the worker about local activities. Activities that the worker knows already may be among those to start.
    pub(crate) fn take_local_requests(&self) -> Vec<LocalRequest> {
        self.core.take_local_requests()
    }

    /// The limit of a workflow task. Known once a task has delivered something.
    pub(crate) fn task_timeout(&self) -> Option<Duration> {
        self.core.info().task_timeout
    }

    /// Continues after the last step, as after [`Step::Yielded`].
    pub(crate) fn resume(&mut self) -> Step {
        let core = self.core.clone();
        let _entered = current::enter(&core);
        core.ready.set_driver(Some(std::thread::current().id()));
        let step = self.advance().unwrap_or_else(|failure| self.fail(failure));
        core.ready.set_driver(None);
        step
    }

    fn fail(&mut self, failure: TaskFailure) -> Step {
        self.phase = Phase::Failed(failure.clone());
        Step::Failed(failure)
    }

    /// The phase of a run without an open task.
    fn between_tasks(&self, unconfirmed: Option<Unconfirmed>) -> Phase {
        match self.core.is_torn_down() {
            true => Phase::Closed { unconfirmed },
            false => Phase::Idle { unconfirmed },
        }
    }

    /// Discards the last task, which only rejected updates, so that history will not contain it. History continues after the
    /// task that started with this event.
    pub(crate) fn discard_task(&mut self, last_started_event_id: i64) {
        if !matches!(self.phase, Phase::Failed(_)) {
            self.phase = self.between_tasks((last_started_event_id != 0).then_some(Unconfirmed::Known));
        }
        self.last_started_event_id = last_started_event_id;
        self.reader.rewind(last_started_event_id + 1);
    }

    /// Makes replay compare payloads, for checks of code that has not changed meanwhile.
    pub(crate) fn compare_payloads(&self) {
        self.core.compare_payloads();
    }

    /// The first event of the next task for this run.
    pub(crate) fn next_event_id(&self) -> i64 {
        self.reader.next_event_id()
    }

    /// The Started event of the last completed or replayed task; 0 before the first.
    pub(crate) fn last_started_event_id(&self) -> i64 {
        self.last_started_event_id
    }

    /// The headers of the start request. Available after the first task.
    pub(crate) fn headers(&self) -> Headers {
        Headers::from_map(self.core.info().headers.clone())
    }

    /// The last line that the code has reached, for reports of code that does not return.
    pub(crate) fn last_line(&self) -> LastLine {
        LastLine::new(&self.core.ready)
    }

    /// Whether the workflow has ended.
    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }
}

fn panic_failure(panic: Panic) -> Failure {
    let mut failure = Failure::application("Panic", format!("{}{}", panic.message, panic.advice()));
    failure.stack_trace = panic.location.unwrap_or_default();
    failure
}

/// A list of names for a message.
pub(crate) fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
