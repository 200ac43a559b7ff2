//! Delivers recorded histories to the executor again, in any of the forms that a server may choose.
//!
//! A server decides where a page ends; a worker's cache decides whether a task has the new events or the whole history.
//! Neither may change a command. [`replay`] replays the tasks that history has completed; [`live`] runs each task again, as
//! the workers did, and returns the commands.

use std::ops::Range;
use std::sync::Arc;

use everloop_proto::temporal::api::command::v1::Command;
use everloop_proto::temporal::api::enums::v1::EventType;
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use everloop_proto::temporal::api::protocol::v1::Message;

use tracing::Dispatch;

#[cfg(feature = "embedded")]
use super::update_outcomes::UpdateOutcomes;
use crate::executor::{Completion, Definition, LocalEnded, Run, RunOptions, Step, Task, Update, is_output};
use crate::history::History;

/// The largest number of events in a page. As with pages of a server, a long history is not in memory twice.
pub(super) const LARGEST_PAGE: usize = 256;

/// A task of a history that was run live.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayedTask {
    /// The task's WorkflowTaskStarted event.
    pub started_event_id: i64,
    /// The commands of the workflow.
    pub commands: Vec<Command>,
    /// Acceptances and outcomes of updates; some of the commands define their order.
    pub messages: Vec<Message>,
    /// The rule numbers that the task adopted.
    pub rules: Vec<u32>,
}

/// Creates a run with options that do not affect replay.
pub(super) fn new_run(definition: &Arc<dyn Definition>, workflow_id: &str, run_id: &str) -> Run {
    let options = RunOptions {
        namespace: "default".to_owned(),
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
        activity_options: Arc::default(),
        rules_supported: true,
    };
    Run::new(definition.clone(), options)
}

/// Replays a history in pages that end after these numbers of events. Returns the completion of the started task, if the
/// history ends with one.
pub(crate) fn replay(
    definition: &Arc<dyn Definition>,
    history: &History,
    cuts: &[usize],
) -> Result<Option<Completion>, String> {
    let run = new_run(definition, history.workflow_id(), history.run_id());
    replay_pages(run, pages(history.events(), 0..history.len(), cuts))
}

/// As [`replay`], for code that has not changed since: its commands must also have the same payloads, and its updates the
/// same outcomes.
#[cfg(feature = "embedded")]
pub(super) fn check(definition: &Arc<dyn Definition>, history: &History, cuts: &[usize]) -> Result<(), String> {
    let (definition, mut updates) = UpdateOutcomes::observe(definition);
    let run = new_run(&definition, history.workflow_id(), history.run_id());
    run.compare_payloads();
    replay_pages(run, pages(history.events(), 0..history.len(), cuts))?;
    updates.read(history.events());
    updates.check()
}

/// Replays workflow code on a thread of its own, as a worker does: without a tokio runtime, whose channels make a task yield
/// after so many operations. Nothing is logged, because the worker has logged the same lines already.
pub(super) fn on_own_thread<R: Send>(replay: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let replaying = std::thread::Builder::new()
            .name("everloop-replay".to_owned())
            .spawn_scoped(scope, || tracing::dispatcher::with_default(&Dispatch::none(), replay));
        match replaying.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(replayed)) => replayed,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => panic!("a history cannot be replayed without a thread: {error}"),
        }
    })
}

/// As [`replay`], for an iterator of pages.
pub(super) fn replay_pages(
    mut run: Run,
    pages: impl Iterator<Item = Result<Vec<HistoryEvent>, String>>,
) -> Result<Option<Completion>, String> {
    match deliver(&mut run, pages, Vec::new())? {
        Step::Complete(completion) => Ok(Some(completion)),
        _ => Ok(None),
    }
}

/// Runs each completed task of a history again, with its new events, in pages that end after these numbers of events. The run
/// is dropped before each task that `evictions` lists, counted from 0.
///
/// Checks the kinds and ids of the commands against history, and not their contents.
pub(crate) fn live(
    definition: &Arc<dyn Definition>,
    history: &History,
    cuts: &[usize],
    evictions: &[usize],
) -> Result<Vec<PlayedTask>, String> {
    let events = history.events();
    let new_run = || new_run(definition, history.workflow_id(), history.run_id());
    let (mut run, mut seen) = (new_run(), 0);
    let mut played = Vec::new();
    for (number, outputs) in outputs(events).into_iter().enumerate() {
        if evictions.contains(&number) {
            (run, seen) = (new_run(), 0);
        }
        let completed = outputs.start;
        let outputs = &events[outputs];
        let updates = outputs.iter().filter_map(accepted).collect();
        let step = deliver(&mut run, pages(events, seen..completed, cuts), updates)?;
        let completion = match deliver_local(&mut run, step, outputs) {
            Step::Complete(completion) => completion,
            Step::Failed(failure) => return Err(failure.to_string()),
            other => return Err(format!("after {completed} events there is no task to complete: {other:?}")),
        };
        seen = completed;
        let Completion { commands, messages, rules, .. } = completion;
        let started_event_id = events[completed - 1].event_id;
        played.push(PlayedTask { started_event_id, commands, messages, rules });
    }
    match deliver(&mut run, pages(events, seen..events.len(), cuts), Vec::new())? {
        Step::Settled | Step::Complete(_) | Step::WaitsForLocal => Ok(played),
        other => Err(format!("the last events leave a wish: {other:?}")),
    }
}

/// The events of a range, in pages.
fn pages<'a>(
    events: &'a [HistoryEvent],
    range: Range<usize>,
    cuts: &[usize],
) -> impl Iterator<Item = Result<Vec<HistoryEvent>, String>> + use<'a> {
    let mut ends: Vec<usize> = cuts.iter().copied().filter(|cut| range.contains(cut)).collect();
    ends.extend(range.clone().step_by(LARGEST_PAGE).skip(1));
    ends.push(range.end);
    ends.sort_unstable();
    ends.dedup();
    let mut from = range.start;
    ends.into_iter().map(move |to| Ok(events[std::mem::replace(&mut from, to)..to].to_vec()))
}

/// Delivers pages of events to a run, and returns its step after the last one.
fn deliver(
    run: &mut Run,
    pages: impl Iterator<Item = Result<Vec<HistoryEvent>, String>>,
    mut updates: Vec<Update>,
) -> Result<Step, String> {
    let mut pages = pages.peekable();
    let (mut is_first, mut delivered) = (true, 0);
    while let Some(events) = pages.next().transpose()? {
        let more = pages.peek().is_some();
        delivered += events.len();
        let mut step = match std::mem::take(&mut is_first) {
            true => run.begin(Task { events, more, updates: std::mem::take(&mut updates) }),
            false => run.extend(events, more),
        };
        while let Step::Yielded = step {
            step = run.resume();
        }
        match step {
            Step::Failed(failure) => return Err(failure.to_string()),
            Step::NeedHistory if more => {}
            step if !more => return Ok(step),
            other => return Err(format!("after {delivered} events, with more to come: {other:?}")),
        }
    }
    Err("there are no events".to_owned())
}

/// Delivers the results of local activities that a task recorded, and completes it when the worker did.
fn deliver_local(run: &mut Run, mut step: Step, outputs: &[HistoryEvent]) -> Step {
    for ended in outputs.iter().filter_map(LocalEnded::recorded) {
        if !matches!(step, Step::WaitsForLocal) {
            return step;
        }
        step = run.local_ended([ended]);
    }
    match step {
        Step::WaitsForLocal => run.complete_early(),
        step => step,
    }
}

/// The ranges of the outputs of each completed task: its WorkflowTaskCompleted and the events of its commands.
fn outputs(events: &[HistoryEvent]) -> Vec<Range<usize>> {
    let completed = EventType::WorkflowTaskCompleted as i32;
    let starts = (0..events.len()).filter(|index| events[*index].event_type == completed);
    starts
        .map(|start| start..start + 1 + events[start + 1..].iter().take_while(|event| is_output(event)).count())
        .collect()
}

/// The update that an event has accepted, in the form in which the task delivered it.
fn accepted(event: &HistoryEvent) -> Option<Update> {
    match &event.attributes {
        Some(Attributes::WorkflowExecutionUpdateAcceptedEventAttributes(accepted)) => Update::from_accepted(accepted),
        _ => None,
    }
}
