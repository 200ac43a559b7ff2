//! Events grouped into tasks.
//!
//! The *inputs* of a task are the events between the previous task's outputs and its WorkflowTaskStarted; its *outputs* are
//! its WorkflowTaskCompleted and the events of its commands, which follow without a gap. A Started that failed or timed out
//! is no boundary: its inputs belong to the next task. A last Started without later events is the live task.

use std::collections::VecDeque;
use std::time::SystemTime;

use everloop_proto::temporal::api::enums::v1::EventType;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use everloop_proto::temporal::api::history::v1::{
    HistoryEvent, WorkflowTaskCompletedEventAttributes, WorkflowTaskStartedEventAttributes,
};

use super::error::ReplayError;
use super::event::{self, Input};

/// The outputs of a task in history.
pub(super) struct Outputs {
    pub(super) completed_event_id: i64,
    pub(super) completed: WorkflowTaskCompletedEventAttributes,
    /// The events, in the order of the commands.
    pub(super) events: Vec<HistoryEvent>,
}

/// The start of a task.
pub(super) struct TaskStart {
    pub(super) event_id: i64,
    pub(super) time: SystemTime,
    pub(super) attributes: WorkflowTaskStartedEventAttributes,
}

/// The next part of a history.
pub(super) enum Next {
    /// A task that history has completed.
    Replay { inputs: Vec<Input>, start: TaskStart, outputs: Box<Outputs> },
    /// The task to complete now.
    Live { inputs: Vec<Input>, start: TaskStart },
    /// There is no task: the remaining events belong to a later one.
    End,
    /// The end of the task is on a later page.
    NeedHistory,
}

/// Reads a history forward, and keeps a window of its events.
#[derive(Default)]
pub(super) struct Reader {
    events: VecDeque<HistoryEvent>,
    /// Whether pages follow.
    more: bool,
    /// The event after the window.
    next_event_id: i64,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { next_event_id: 1, ..Self::default() }
    }

    /// The id of the next event to add.
    pub(super) fn next_event_id(&self) -> i64 {
        self.next_event_id
    }

    /// Drops the events in the window, and expects this event next.
    pub(super) fn rewind(&mut self, next_event_id: i64) {
        self.events.clear();
        self.next_event_id = next_event_id;
    }

    pub(super) fn extend(&mut self, events: Vec<HistoryEvent>, more: bool) -> Result<(), ReplayError> {
        for event in events {
            if event.event_id != self.next_event_id {
                let reason = format!("event {} was expected", self.next_event_id);
                return Err(ReplayError::invalid(event.event_id, reason));
            }
            self.next_event_id += 1;
            self.events.push_back(event);
        }
        self.more = more;
        Ok(())
    }

    /// Reads the next task.
    pub(super) fn next(&mut self) -> Result<Next, ReplayError> {
        let Some(started) = self.find_start() else {
            return Ok(if self.more { Next::NeedHistory } else { Next::End });
        };
        let is_last = started + 1 == self.events.len();
        if is_last && self.more || !is_last && self.outputs_end(started + 1).is_none() {
            return Ok(Next::NeedHistory);
        }
        let inputs = self.events.drain(..started).map(Input::read).collect();
        let start = start(self.events.pop_front().expect("the Started event was found at this place"))?;
        if is_last {
            return Ok(Next::Live { inputs, start });
        }
        match self.outputs()? {
            Some(outputs) => Ok(Next::Replay { inputs, start, outputs: outputs.into() }),
            None => Ok(Next::NeedHistory),
        }
    }

    /// Reads the outputs of the task that was completed last. `None` if their end is on a later page.
    pub(super) fn outputs(&mut self) -> Result<Option<Outputs>, ReplayError> {
        let Some(end) = self.outputs_end(0) else { return Ok(None) };
        let mut events = self.events.drain(..end);
        let completed = events.next().expect("the end is past the Completed event");
        let Some(Attributes::WorkflowTaskCompletedEventAttributes(attributes)) = completed.attributes else {
            let found = event::type_name(&completed);
            return Err(ReplayError::invalid(
                completed.event_id,
                format!("{found} in place of WORKFLOW_TASK_COMPLETED"),
            ));
        };
        Ok(Some(Outputs { completed_event_id: completed.event_id, completed: *attributes, events: events.collect() }))
    }

    /// Whether every page has been read and used.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && !self.more
    }

    /// Finds the first Started that was completed, or that is the last event.
    fn find_start(&self) -> Option<usize> {
        (0..self.events.len()).find(|&index| {
            let is = |index: usize, kind: EventType| {
                self.events.get(index).is_some_and(|event| event.event_type == kind as i32)
            };
            is(index, EventType::WorkflowTaskStarted)
                && (index + 1 == self.events.len() || is(index + 1, EventType::WorkflowTaskCompleted))
        })
    }

    /// The end of the outputs that begin at `from`; `None` if it is not known yet.
    fn outputs_end(&self, from: usize) -> Option<usize> {
        if from >= self.events.len() {
            return None;
        }
        match (from + 1..self.events.len()).find(|&index| !event::is_output(&self.events[index])) {
            Some(end) => Some(end),
            None => (!self.more).then_some(self.events.len()),
        }
    }
}

fn start(event: HistoryEvent) -> Result<TaskStart, ReplayError> {
    let event_id = event.event_id;
    let time = event.event_time.and_then(|time| SystemTime::try_from(time).ok());
    match (event.attributes, time) {
        (Some(Attributes::WorkflowTaskStartedEventAttributes(attributes)), Some(time)) => {
            Ok(TaskStart { event_id, time, attributes: *attributes })
        }
        _ => Err(ReplayError::invalid(event_id, "WORKFLOW_TASK_STARTED has no attributes or no time")),
    }
}
