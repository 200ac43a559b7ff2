//! Phases of a run, each with the data that is valid in it.

use everloop_proto::temporal::api::protocol::v1::Message;

use super::clock::Clock;
use crate::executor::error::TaskFailure;
use crate::executor::issued::Issued;
use crate::executor::update::Update;

/// The phase of a run.
pub(super) enum Phase {
    /// No task is open. The events of the last task's commands may not have arrived yet.
    Idle { unconfirmed: Option<Unconfirmed> },
    /// The run reads history, up to the live task.
    Replaying(Replay),
    /// The live task is open: its inputs are delivered, and it is completed when no coroutine is ready and no local activity
    /// runs.
    Live(LiveTask),
    /// The workflow has ended, and no task is open.
    Closed { unconfirmed: Option<Unconfirmed> },
    /// A task failed. The run is lost, and each later call returns this failure.
    Failed(TaskFailure),
}

/// The outputs of a completed task, which are among the events of the next task.
pub(super) enum Unconfirmed {
    /// The events of these commands have not arrived yet.
    Commands(Vec<Issued>),
    /// The events arrived with a task that history discarded, and will arrive again.
    Known,
}

#[derive(Default)]
pub(super) struct Replay {
    pub(super) unconfirmed: Option<Unconfirmed>,
    /// Updates of the live task.
    pub(super) updates: Vec<Update>,
    /// The first terminal command of the replayed task.
    terminal: Option<Issued>,
}

#[derive(Default)]
pub(super) struct LiveTask {
    /// The time of the task, once its inputs are delivered.
    pub(super) clock: Option<Clock>,
    /// Whether its inputs have had their effect.
    pub(super) is_settled: bool,
    pub(super) messages: Vec<Message>,
    pub(super) warnings: Vec<String>,
    /// The first terminal command.
    terminal: Option<Issued>,
}

impl Phase {
    /// Starts to read history for a task with these updates.
    pub(super) fn read_history(&mut self, updates: Vec<Update>) {
        match self {
            Self::Idle { unconfirmed } | Self::Closed { unconfirmed } => {
                let unconfirmed = unconfirmed.take();
                *self = Self::Replaying(Replay { unconfirmed, updates, terminal: None });
            }
            Self::Replaying(replay) => replay.updates = updates,
            // An open task is resumed, and a failed run stays failed.
            Self::Live(_) | Self::Failed(_) => {}
        }
    }

    /// Takes the outputs of the previous task.
    pub(super) fn take_unconfirmed(&mut self) -> Option<Unconfirmed> {
        match self {
            Self::Replaying(replay) => replay.unconfirmed.take(),
            Self::Idle { unconfirmed } | Self::Closed { unconfirmed } => unconfirmed.take(),
            Self::Live(_) | Self::Failed(_) => None,
        }
    }

    pub(super) fn has_unconfirmed(&self) -> bool {
        matches!(self, Self::Replaying(Replay { unconfirmed: Some(_), .. }))
    }

    /// Opens the live task and returns its updates.
    pub(super) fn open_live_task(&mut self) -> Vec<Update> {
        let before = std::mem::replace(self, Self::Live(LiveTask::default()));
        if let Self::Replaying(replay) = before { replay.updates } else { Vec::new() }
    }

    /// The live task, if it is open.
    pub(super) fn live_task(&mut self) -> Option<&mut LiveTask> {
        if let Self::Live(task) = self { Some(task) } else { None }
    }

    /// The field for the terminal command of the open or replayed task.
    pub(super) fn terminal(&mut self) -> Option<&mut Option<Issued>> {
        match self {
            Self::Replaying(replay) => Some(&mut replay.terminal),
            Self::Live(task) => Some(&mut task.terminal),
            Self::Idle { .. } | Self::Closed { .. } | Self::Failed(_) => None,
        }
    }
}
