//! One run: tasks in, steps out.

mod teardown;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use everloop_proto::temporal::api::command::v1::Command;
use everloop_proto::temporal::api::history::v1::{HistoryEvent, WorkflowExecutionStartedEventAttributes};
use everloop_proto::temporal::api::protocol::v1::Message;

use super::command::{self, Issued};
use super::core::Core;
use super::coroutine::{Coroutine, LastLine, LocalFuture, Output};
use super::definition::{Definition, Instance};
use super::error::{ReplayError, TaskFailure};
use super::event::{Input, Meaning};
use super::history::{Next, Outputs, Reader, TaskStart};
use super::info::WorkflowInfo;
use super::panic::{Panic, catch};
use super::rules::{Rule, Rules, SDK_NAME};
use super::scope::Scopes;
use super::update::{self, Update, UpdateCommand};
use super::{current, end, payloads};
use crate::data::{Failure, Headers, UnfinishedPolicy, WorkerActivityOptions};
use crate::errors::WorkflowError;
use crate::raw;

/// What a run is told when it is made.
#[derive(Debug, Clone)]
pub(crate) struct RunOptions {
    pub(crate) namespace: String,
    pub(crate) workflow_id: String,
    pub(crate) run_id: String,
    /// What the worker says about the activities that are called.
    pub(crate) activity_options: Arc<WorkerActivityOptions>,
    /// Whether the server keeps SDK metadata.
    pub(crate) rules_supported: bool,
}

/// A workflow task as the server sent it.
#[derive(Debug, Default)]
pub(crate) struct Task {
    /// From where the run left off; from event 1 for a new one.
    pub(crate) events: Vec<HistoryEvent>,
    /// Whether pages follow: [`Run::extend`] takes them.
    pub(crate) more: bool,
    pub(crate) updates: Vec<Update>,
}

/// What a run wants next.
#[derive(Debug)]
pub(crate) enum Step {
    /// The task is done: send this.
    Complete(Completion),
    /// There was no task to complete, as with a query: the run has seen all its history.
    Settled,
    /// The next page, by [`Run::extend`].
    NeedHistory,
    /// A long replay lets others in: call [`Run::resume`].
    Yielded,
    /// The task fails, and the run is lost: drop it.
    Failed(TaskFailure),
}

/// What completes a task.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Completion {
    pub(crate) commands: Vec<Command>,
    pub(crate) messages: Vec<Message>,
    /// Rule numbers to record in the SDK metadata.
    pub(crate) rules: Vec<u32>,
    /// What someone should know who runs the worker.
    pub(crate) warnings: Vec<String>,
    /// Whether the workflow ends with this task.
    pub(crate) closes: bool,
}

/// Why a query was not answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueryError {
    pub(crate) failure: Box<Failure>,
}

/// Replayed tasks after which others are let in. Few in tests, where histories are short.
const TASKS_PER_TURN: usize = if cfg!(test) { 4 } else { 200 };

/// One execution of one workflow, from its first event on.
///
/// Call [`begin`](Self::begin) for each workflow task, then [`extend`](Self::extend) or [`resume`](Self::resume) as long as
/// the step asks for it; [`query`](Self::query) once a step has settled the run. After [`Step::Failed`] only drop it.
pub(crate) struct Run {
    definition: Arc<dyn Definition>,
    options: RunOptions,
    core: Rc<Core>,
    reader: Reader,
    rules: Rules,
    /// Whether the last worker that named itself was ours: only then rule numbers are ours.
    recorded_by_us: bool,
    instance: Option<Rc<dyn Instance>>,
    coroutines: BTreeMap<u64, Coroutine>,
    handlers: BTreeMap<u64, RunningHandler>,
    /// What the last completed task asked for, until its events have been used.
    unconfirmed: Option<Unconfirmed>,
    last_started_event_id: i64,
    /// Updates that came with the live task.
    updates: Vec<Update>,
    /// The first terminal command.
    terminal: Option<Issued>,
    is_closed: bool,
    messages: Vec<Message>,
    warnings: Vec<String>,
}

/// The outputs of a completed task, which the next task brings along.
enum Unconfirmed {
    /// These commands: their events have not been seen yet.
    Commands(Vec<Issued>),
    /// Nothing: their events were seen with a task that history forgot, and come once more.
    Known,
}

struct RunningHandler {
    description: String,
    unfinished: UnfinishedPolicy,
}

impl Run {
    pub(crate) fn new(definition: Arc<dyn Definition>, options: RunOptions) -> Self {
        Self {
            core: Core::new(&options.run_id, options.activity_options.clone()),
            rules: Rules::new(options.rules_supported),
            definition,
            options,
            reader: Reader::new(),
            recorded_by_us: false,
            instance: None,
            coroutines: BTreeMap::new(),
            handlers: BTreeMap::new(),
            unconfirmed: None,
            last_started_event_id: 0,
            updates: Vec::new(),
            terminal: None,
            is_closed: false,
            messages: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Takes a workflow task, whose first event is [`next_event_id`](Self::next_event_id).
    pub(crate) fn begin(&mut self, task: Task) -> Step {
        self.updates = task.updates;
        self.extend(task.events, task.more)
    }

    /// Takes the next page of the history that the last step asked for.
    pub(crate) fn extend(&mut self, events: Vec<HistoryEvent>, more: bool) -> Step {
        match self.reader.extend(events, more) {
            Ok(()) => self.resume(),
            Err(error) => Step::Failed(error.into()),
        }
    }

    /// Goes on after [`Step::Yielded`].
    pub(crate) fn resume(&mut self) -> Step {
        let core = self.core.clone();
        let _entered = current::enter(&core);
        core.ready.set_driver(Some(std::thread::current().id()));
        let step = self.advance().unwrap_or_else(Step::Failed);
        core.ready.set_driver(None);
        step
    }

    /// Forgets the last task, which history will not have: it rejected updates and did nothing else. History goes on after the
    /// task that started with this event.
    pub(crate) fn discard_task(&mut self, last_started_event_id: i64) {
        self.unconfirmed = (last_started_event_id != 0).then_some(Unconfirmed::Known);
        self.last_started_event_id = last_started_event_id;
        self.reader.rewind(last_started_event_id + 1);
    }

    /// Answers a query from the state as it is. Polls nothing.
    pub(crate) fn query(&self, name: &str, input: &[raw::Payload]) -> Result<raw::Payload, QueryError> {
        let fail = |failure: Failure| QueryError { failure: failure.into() };
        if name == STACK_TRACE {
            let waiting = self.core.waiting();
            let text = if waiting.is_empty() { "not waiting".to_owned() } else { waiting.join("\n") };
            return crate::data::encode(&text).map_err(|error| fail(Failure::from_error(&error)));
        }
        let Some(instance) = &self.instance else {
            return Err(fail(Failure::application("QueryFailed", "the workflow has not started yet")));
        };
        let _entered = current::enter(&self.core);
        let reader = format!("the query `{name}`");
        // A query is asked now, whatever the task before it was: what it logs is new.
        let was_replaying = self.core.is_replaying();
        self.core.set_replaying(false);
        let answer = catch(|| self.core.reading(&reader, || instance.query(name, input)));
        self.core.set_replaying(was_replaying);
        match answer {
            Ok(Some(Ok(answer))) => Ok(answer),
            Ok(Some(Err(error))) => Err(fail(error.into_failure())),
            Ok(None) => {
                let known = listed(&instance.query_names());
                let message = format!("there is no query `{name}`; there are: {known}");
                Err(fail(Failure::application("UnknownQuery", message)))
            }
            Err(panic) => Err(fail(panic_failure(panic))),
        }
    }

    /// Compares payloads too when it replays: for checks of code that has not changed meanwhile.
    pub(crate) fn compare_payloads(&self) {
        self.core.compare_payloads();
    }

    /// The event that a task for this run begins with.
    pub(crate) fn next_event_id(&self) -> i64 {
        self.reader.next_event_id()
    }

    /// The Started event of the last task it completed or replayed; 0 before the first.
    pub(crate) fn last_started_event_id(&self) -> i64 {
        self.last_started_event_id
    }

    /// What the run was started with. Known once a task was completed.
    pub(crate) fn headers(&self) -> Headers {
        Headers::from_map(self.core.info().headers.clone())
    }

    /// How far the code has come, for people who ask why it does not come back.
    pub(crate) fn last_line(&self) -> LastLine {
        LastLine::new(&self.core.ready)
    }

    /// Whether the workflow has ended.
    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    // ---- tasks ----

    fn advance(&mut self) -> Result<Step, TaskFailure> {
        self.check_wakes()?;
        for _ in 0..TASKS_PER_TURN {
            if self.unconfirmed.is_some() {
                if self.reader.is_empty() {
                    return Ok(Step::Settled);
                }
                let Some(outputs) = self.reader.outputs()? else { return Ok(Step::NeedHistory) };
                self.record_rules(&outputs)?;
                if let Some(Unconfirmed::Commands(issued)) = self.unconfirmed.take() {
                    self.confirm(issued, outputs)?;
                }
            }
            match self.reader.next()? {
                Next::NeedHistory => return Ok(Step::NeedHistory),
                Next::End => return Ok(Step::Settled),
                Next::Replay { inputs, start, outputs } => {
                    self.record_rules(&outputs)?;
                    self.core.set_replaying(true);
                    let updates = update::accepted(&outputs.events);
                    let issued = self.task(inputs, start, Updates::Accepted(updates))?;
                    self.messages.clear();
                    self.warnings.clear();
                    self.confirm(issued, *outputs)?;
                }
                Next::Live { inputs, start } => {
                    self.core.set_replaying(false);
                    self.holds(Rule::Base);
                    let updates = std::mem::take(&mut self.updates);
                    let mut issued = self.task(inputs, start, Updates::Delivered(updates))?;
                    self.core.set_replaying(true);
                    let completion = Completion {
                        commands: issued.iter_mut().map(Issued::take_wire).collect(),
                        messages: std::mem::take(&mut self.messages),
                        rules: self.rules.take_adopted(),
                        warnings: std::mem::take(&mut self.warnings),
                        closes: self.is_closed,
                    };
                    self.unconfirmed = Some(Unconfirmed::Commands(issued));
                    return Ok(Step::Complete(completion));
                }
            }
        }
        Ok(Step::Yielded)
    }

    /// Runs one task: delivers its inputs, then polls until nothing moves. Answers the commands.
    fn task(&mut self, inputs: Vec<Input>, start: TaskStart, updates: Updates) -> Result<Vec<Issued>, TaskFailure> {
        self.last_started_event_id = start.event_id;
        for input in &inputs {
            if let Meaning::Unsupported { event_type } = &input.meaning {
                let (event_id, event_type) = (input.event_id, event_type.clone());
                return Err(ReplayError::UnsupportedEvent { event_id, event_type }.into());
            }
        }
        // A task that delivers nothing moves nothing: no clock, no condition, no poll.
        let mut clock = Clock { start, has_begun: false };
        if inputs.iter().any(Input::delivers) {
            clock.begin(&self.core);
        }
        for input in &inputs {
            match &input.meaning {
                Meaning::Start { time, started } => self.start(*time, started)?,
                Meaning::Reset { new_run_id } => self.core.reseed(new_run_id),
                _ => {}
            }
        }
        for input in &inputs {
            if let Meaning::Signal(signal) = &input.meaning {
                let input = signal.input.as_ref().map(|input| input.payloads.as_slice()).unwrap_or_default();
                self.signal(&signal.signal_name, input)?;
            }
        }
        match updates {
            Updates::Accepted(updates) => {
                for (event_id, update) in updates {
                    clock.begin(&self.core);
                    self.accept(&update, Some(event_id))?;
                }
            }
            Updates::Delivered(updates) => {
                for update in updates {
                    match self.validate(&update) {
                        Ok(()) => {
                            clock.begin(&self.core);
                            self.accept(&update, None)?;
                        }
                        Err(failure) => self.messages.push(update.rejection(*failure)),
                    }
                }
            }
        }
        for input in inputs {
            match input.meaning {
                Meaning::CancelRequest => self.core.cancel_scope(Scopes::ROOT),
                Meaning::Operation { key, change } => self.core.apply(input.event_id, &key, change)?,
                _ => {}
            }
        }
        if clock.has_begun && !self.is_closed {
            self.settle()?;
            self.end_if_returned();
        }
        Ok(self.core.take_issued())
    }

    /// Compares what was issued with what history has, and tells operations their events.
    fn confirm(&mut self, issued: Vec<Issued>, outputs: Outputs) -> Result<(), TaskFailure> {
        let mut issued = issued.into_iter();
        let mut last_event_id = outputs.completed_event_id;
        for event in &outputs.events {
            last_event_id = event.event_id;
            let next = issued.next();
            command::matches(next.as_ref(), event)?;
            if let Some(issued) = next.as_ref().filter(|_| self.core.compares_payloads()) {
                payloads::matches(issued, event)?;
            }
            let Some(issued) = next else { continue };
            if let Some(operation) = issued.operation {
                self.core.confirm(operation, event.event_id);
            }
            if let Some(operation) = issued.cancels {
                self.core.confirm_cancel(operation);
            }
        }
        match issued.next() {
            Some(extra) => Err(ReplayError::CommandUnrecorded {
                event_id: last_event_id,
                issued: extra.kind.clone(),
                site: extra.site,
            }
            .into()),
            None => Ok(()),
        }
    }

    fn record_rules(&mut self, outputs: &Outputs) -> Result<(), TaskFailure> {
        let Some(metadata) = &outputs.completed.sdk_metadata else { return Ok(()) };
        if !metadata.sdk_name.is_empty() {
            self.recorded_by_us = metadata.sdk_name == SDK_NAME;
        }
        if self.recorded_by_us {
            self.rules.record(outputs.completed_event_id, &metadata.lang_used_flags)?;
        }
        Ok(())
    }

    // ---- inputs ----

    fn start(
        &mut self,
        time: Option<SystemTime>,
        started: &WorkflowExecutionStartedEventAttributes,
    ) -> Result<(), TaskFailure> {
        let time = time.unwrap_or_else(|| self.core.now());
        let RunOptions { namespace, workflow_id, run_id, .. } = &self.options;
        let info = WorkflowInfo::new(namespace, workflow_id, run_id, time, started);
        // A reset run goes on with the numbers of the run it was copied from, up to the reset.
        if !started.original_execution_run_id.is_empty() {
            self.core.reseed(&started.original_execution_run_id);
        }
        self.core.set_info(info);
        let input = started.input.as_ref().map(|input| input.payloads.as_slice()).unwrap_or_default();
        let misfit = |cause| TaskFailure::Input { workflow_type: self.definition.name(), cause };
        let instance = catch(|| self.definition.instantiate(input)).map_err(TaskFailure::Panic)?.map_err(misfit)?;
        self.core.set_workflow(instance.workflow());
        let running = catch(|| instance.run(input)).map_err(TaskFailure::Panic)?.map_err(misfit)?;
        self.instance = Some(instance);
        self.core.spawn(Box::pin(async move { Output::Run(running.await) }), Scopes::ROOT);
        self.adopt_spawned();
        Ok(())
    }

    fn signal(&mut self, name: &str, input: &[raw::Payload]) -> Result<(), TaskFailure> {
        let Some(instance) = self.instance.clone() else { return Ok(()) };
        if self.is_closed {
            return Ok(());
        }
        match catch(|| instance.signal(name, input)).map_err(TaskFailure::Panic)? {
            Some(Ok((running, unfinished))) => {
                let future = Box::pin(async move { Output::Signal(running.await) });
                self.run_handler(future, format!("the signal `{name}`"), unfinished)
            }
            Some(Err(cause)) => {
                self.warnings
                    .push(format!("the signal `{name}` was passed over: {cause}; send it again with what fits"));
                Ok(())
            }
            None => {
                let known = listed(&instance.signal_names());
                self.warnings.push(format!(
                    "there is no handler for the signal `{name}`; there are: {known}; it stays in the history, for code that has one"
                ));
                Ok(())
            }
        }
    }

    /// Whether an update that was delivered is accepted. Leaves no trace.
    fn validate(&self, update: &Update) -> Result<(), Box<Failure>> {
        let Some(instance) = &self.instance else {
            return Err(Failure::application("UpdateRejected", "the workflow has not started yet").into());
        };
        if self.is_closed {
            return Err(Failure::application("UpdateRejected", "the workflow has ended").into());
        }
        let reader = format!("the validator of the update `{}`", update.name);
        match catch(|| self.core.reading(&reader, || instance.validate(&update.name, &update.input))) {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(error))) => Err(error.into_failure().into()),
            Ok(None) => {
                let known = listed(&instance.update_names());
                let message = format!("there is no update `{}`; there are: {known}", update.name);
                Err(Failure::application("UnknownUpdate", message).into())
            }
            Err(panic) => Err(panic_failure(panic).into()),
        }
    }

    /// Accepts an update and takes its handler's first step. `recorded` is the event that accepted it, on replay.
    fn accept(&mut self, update: &Update, recorded: Option<i64>) -> Result<(), TaskFailure> {
        let Some(instance) = self.instance.clone() else { return Ok(()) };
        self.push_message(UpdateCommand::Accept { update_id: update.id.clone() }, || update.acceptance());
        let update_id = update.id.clone();
        match catch(|| instance.update(&update.name, &update.input)).map_err(TaskFailure::Panic)? {
            Some(Ok((running, unfinished))) => {
                let future = Box::pin(async move { Output::Update { update_id, result: running.await } });
                self.run_handler(future, format!("the update `{}`", update.name), unfinished)
            }
            Some(Err(cause)) => {
                self.complete_update(&update_id, Err(cause.into()));
                Ok(())
            }
            None => {
                let event_id = recorded.unwrap_or_default();
                Err(ReplayError::UpdateHandlerMissing { event_id, name: update.name.clone() }.into())
            }
        }
    }

    // ---- coroutines ----

    /// Polls in wake order until nothing is ready, then asks the conditions, until nothing moves.
    fn settle(&mut self) -> Result<(), TaskFailure> {
        self.core.take_conditions_met();
        loop {
            while let Some(id) = self.core.ready.pop() {
                self.poll(id)?;
            }
            // Each condition is asked by its own coroutine, queued in order of registration.
            if !self.core.wake_conditions() {
                break;
            }
            while let Some(id) = self.core.ready.pop() {
                self.poll(id)?;
            }
            if self.core.take_conditions_met() == 0 {
                break;
            }
        }
        self.check_wakes()
    }

    fn poll(&mut self, id: u64) -> Result<(), TaskFailure> {
        let Some(coroutine) = self.coroutines.get_mut(&id) else { return Ok(()) };
        coroutine.about_to_poll();
        self.core.set_scope(coroutine.scope);
        let polled = catch(|| coroutine.future.as_mut().poll(&mut Context::from_waker(&coroutine.waker)));
        self.adopt_spawned();
        match polled.map_err(TaskFailure::Panic)? {
            Poll::Pending => Ok(()),
            Poll::Ready(output) => {
                if let Some(coroutine) = self.coroutines.remove(&id) {
                    catch(|| drop(coroutine.future)).map_err(TaskFailure::Panic)?;
                    let stays = self.core.scope_leaves_children(coroutine.scope) && self.holds(Rule::EndedScopesStay);
                    self.core.end_scope(coroutine.scope, stays);
                }
                if self.handlers.remove(&id).is_some() {
                    self.core.handler_ended();
                }
                self.finish(output);
                Ok(())
            }
        }
    }

    fn holds(&mut self, rule: Rule) -> bool {
        self.rules.holds(rule, self.core.is_replaying())
    }

    fn adopt_spawned(&mut self) {
        self.coroutines.extend(self.core.take_spawned());
    }

    /// A handler's first step happens at its own turn.
    fn run_handler(
        &mut self,
        future: LocalFuture<Output>,
        description: String,
        unfinished: UnfinishedPolicy,
    ) -> Result<(), TaskFailure> {
        let scope = self.core.new_scope(None);
        let (id, coroutine) = self.core.coroutine(future, scope);
        self.coroutines.insert(id, coroutine);
        self.handlers.insert(id, RunningHandler { description, unfinished });
        self.core.handler_started();
        self.poll(id)
    }

    fn finish(&mut self, output: Output) {
        match output {
            Output::Spawned | Output::Signal(Ok(())) => {}
            Output::Run(Ok(result)) => self.set_terminal(|| end::complete(result)),
            Output::Run(Err(error)) if error.is_cancelled() && self.core.is_cancelled(Scopes::ROOT) => {
                self.set_terminal(|| end::cancel(error));
            }
            Output::Run(Err(error)) | Output::Signal(Err(error)) => self.set_terminal(|| end::fail(error)),
            Output::Update { update_id, result } => self.complete_update(&update_id, result),
        }
    }

    fn complete_update(&mut self, update_id: &str, result: Result<raw::Payload, WorkflowError>) {
        self.push_message(UpdateCommand::Complete { update_id: update_id.to_owned() }, || {
            update::response(update_id, result.map_err(WorkflowError::into_failure))
        });
    }

    /// Sends a message, and issues the command that gives it its place among the others.
    fn push_message(&mut self, command: UpdateCommand, message: impl FnOnce() -> Message) {
        if !self.core.is_replaying() {
            self.messages.push(message());
        }
        self.core.issue(command.issue());
    }

    fn set_terminal(&mut self, terminal: impl FnOnce() -> Issued) {
        self.terminal.get_or_insert_with(terminal);
    }

    /// Closes the run if a terminal command was set: it comes last, and nothing runs after it.
    fn end_if_returned(&mut self) {
        let Some(terminal) = self.terminal.take() else { return };
        self.core.issue(terminal);
        self.is_closed = true;
        for handler in self.handlers.values().filter(|handler| handler.unfinished == UnfinishedPolicy::Warn) {
            self.warnings.push(format!(
                "the workflow ended while {} was still running, and its work is lost: wait for `all_handlers_finished()` \
                 before returning, or mark it `unfinished_policy = abandon`",
                handler.description
            ));
        }
        let panics = self.tear_down();
        self.warnings.extend(panics.iter().map(teardown::panicked_in_drop));
    }

    fn check_wakes(&self) -> Result<(), TaskFailure> {
        self.core.ready.illegal_wake().map_or(Ok(()), |text| Err(TaskFailure::Waker(text)))
    }
}

/// The built-in query for what a workflow waits for.
const STACK_TRACE: &str = "__stack_trace";

/// The updates of a task: from history, or to be decided upon.
enum Updates {
    Accepted(Vec<(i64, Update)>),
    Delivered(Vec<Update>),
}

/// The time of a task, which only moves if the task delivers something.
struct Clock {
    start: TaskStart,
    has_begun: bool,
}

impl Clock {
    fn begin(&mut self, core: &Core) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let attributes = &self.start.attributes;
            let history = (self.start.event_id, attributes.history_size_bytes, attributes.suggest_continue_as_new);
            core.begin_task(self.start.time, history);
        }
    }
}

fn panic_failure(panic: Panic) -> Failure {
    let mut failure = Failure::application("Panic", format!("{}{}", panic.message, panic.advice()));
    failure.stack_trace = panic.location.unwrap_or_default();
    failure
}

/// Names for a message that says what there is.
pub(crate) fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
