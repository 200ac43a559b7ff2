//! Phases of a run, each with the data that is valid in it.

use everloop_proto::temporal::api::protocol::v1::Message;

use crate::executor::error::TaskFailure;
use crate::executor::issued::Issued;
use crate::executor::update::Update;

/// The phase of a run.
pub(super) enum Phase {
    /// No task is open. The events of the last one's commands may still be to come.
    Idle { unconfirmed: Option<Unconfirmed> },
    /// History is being read, up to the task that is live.
    Replaying(Replay),
    /// The live task is open: its inputs are delivered, and it is completed when nothing moves any more.
    Live(LiveTask),
    /// The workflow has ended, and no task is open.
    Closed { unconfirmed: Option<Unconfirmed> },
    /// A task failed. The run is lost, and each later call returns this failure.
    Failed(TaskFailure),
}

/// The outputs of a completed task, which the next task brings along.
pub(super) enum Unconfirmed {
    /// The events of these commands have not been seen yet.
    Commands(Vec<Issued>),
    /// The events were seen with a task that history forgot, and come once more.
    Known,
}

#[derive(Default)]
pub(super) struct Replay {
    pub(super) unconfirmed: Option<Unconfirmed>,
    /// Updates that came with the live task.
    pub(super) updates: Vec<Update>,
    /// The first terminal command of the task that is being replayed.
    terminal: Option<Issued>,
}

#[derive(Default)]
pub(super) struct LiveTask {
    /// Whether the task delivered something: otherwise nothing moves.
    pub(super) has_begun: bool,
    pub(super) messages: Vec<Message>,
    pub(super) warnings: Vec<String>,
    /// The first terminal command.
    terminal: Option<Issued>,
}

impl Phase {
    /// Begins to read history, for a task with these updates.
    pub(super) fn read_history(&mut self, updates: Vec<Update>) {
        match self {
            Self::Idle { unconfirmed } | Self::Closed { unconfirmed } => {
                let unconfirmed = unconfirmed.take();
                *self = Self::Replaying(Replay { unconfirmed, updates, terminal: None });
            }
            Self::Replaying(replay) => replay.updates = updates,
            // An open task is resumed, and a failed run stays so.
            Self::Live(_) | Self::Failed(_) => {}
        }
    }

    /// Takes the outputs that the next task brings along.
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

    /// Opens the live task and returns the updates that came with it.
    pub(super) fn open_live_task(&mut self) -> Vec<Update> {
        let before = std::mem::replace(self, Self::Live(LiveTask::default()));
        if let Self::Replaying(replay) = before { replay.updates } else { Vec::new() }
    }

    /// The live task, if it is open.
    pub(super) fn live_task(&mut self) -> Option<&mut LiveTask> {
        if let Self::Live(task) = self { Some(task) } else { None }
    }

    /// The place of the terminal command of the task that is open or replayed.
    pub(super) fn terminal(&mut self) -> Option<&mut Option<Issued>> {
        match self {
            Self::Replaying(replay) => Some(&mut replay.terminal),
            Self::Live(task) => Some(&mut task.terminal),
            Self::Idle { .. } | Self::Closed { .. } | Self::Failed(_) => None,
        }
    }
}
