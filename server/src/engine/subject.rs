//! What the rules are about: timers, activities, signals and so on.
//!
//! Each subject has its commands, its events, its deadlines, and its parts of the overlay and of descriptions, in a file or
//! folder of its own. The table in `subjects.rs` lists them all.

use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::enums::{CommandType, WorkflowTaskFailedCause};
use crate::api::workflowservice::DescribeWorkflowExecutionResponse;
use crate::engine::commands::Commands;
use crate::engine::deadline::Deadline;
use crate::engine::error::Rejected;
use crate::engine::event::{Attributes, EventId, Order};
use crate::engine::overlay::Overlay;
use crate::engine::run::Run;
use crate::engine::time::Time;

/// The rules of one subject.
///
/// Commands and deadlines of other subjects are given back; events of other subjects are `None`.
pub(super) trait Subject {
    /// Its types of commands, each with the cause of the failure of a task whose command has no attributes.
    const COMMANDS: &'static [(CommandType, WorkflowTaskFailedCause)] = &[];

    /// Checks a command and writes its events.
    #[expect(clippy::result_large_err, reason = "a command that is given back is on its way to its subject")]
    fn command(
        _run: &mut Run,
        command: CommandAttributes,
        _commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        Err(command)
    }

    /// Where an event stands among those that happen while a worker has a workflow task.
    fn order(_event: &Attributes) -> Option<Order> {
        None
    }

    /// Where an event that ends something names the event that started it.
    fn started_event_id(_event: &mut Attributes) -> Option<&mut EventId> {
        None
    }

    /// Changes the state as an event says. `id` is [`BUFFERED`](super::event::BUFFERED) for an event that waits.
    ///
    /// # Errors
    ///
    /// How the event contradicts the state. An event of this engine does not.
    fn apply(_run: &mut Run, _id: EventId, _time: Time, _event: &Attributes) -> Option<Applied> {
        None
    }

    /// Does what a deadline brings about. The caller ends the step.
    fn due(_run: &mut Run, deadline: Deadline, _now: Time) -> Result<(), Deadline> {
        Err(deadline)
    }

    /// Adds to the overlay what history does not tell.
    fn keep(_run: &Run, _overlay: &mut Overlay) {}

    /// Brings a recovered run, as its history tells it, to where it was.
    ///
    /// # Errors
    ///
    /// How the overlay contradicts the history.
    fn restore(_run: &mut Run, _overlay: &mut Overlay) -> Result<(), String> {
        Ok(())
    }

    /// Adds to the description of an open run.
    fn describe(_run: &Run, _described: &mut DescribeWorkflowExecutionResponse) {}
}

/// Whether an event fits the state, or how it contradicts it.
pub(super) type Applied = Result<(), &'static str>;
