//! The subjects of the rules: timers, activities, signals and so on.
//!
//! Each subject has its commands, its events, its deadlines, and its parts of the overlay and of descriptions, in its
//! own file or folder. The table in `subjects.rs` lists all subjects.

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
/// Methods return commands and deadlines of other subjects unchanged, and `None` for events of other subjects.
pub(super) trait Subject {
    /// The command types, each with the failure cause for a command without attributes.
    const COMMANDS: &'static [(CommandType, WorkflowTaskFailedCause)] = &[];

    /// Validates a command and writes its events.
    #[expect(clippy::result_large_err, reason = "a command that is given back is on its way to its subject")]
    fn command(
        _run: &mut Run,
        command: CommandAttributes,
        _commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        Err(command)
    }

    /// The order of an event among those that are buffered during a workflow task.
    fn order(_event: &Attributes) -> Option<Order> {
        None
    }

    /// The field of an event that refers to the event that started the operation it ends.
    fn started_event_id(_event: &mut Attributes) -> Option<&mut EventId> {
        None
    }

    /// A buffered event, which was applied already, gets its number.
    fn numbered(_run: &mut Run, _id: EventId, _event: &Attributes) {}

    /// Applies an event to the state. `id` is [`BUFFERED`](super::event::BUFFERED) for a buffered event.
    ///
    /// # Errors
    ///
    /// Returns how the event contradicts the state. An event that this engine wrote does not.
    fn apply(_run: &mut Run, _id: EventId, _time: Time, _event: &Attributes) -> Option<Applied> {
        None
    }

    /// Handles a deadline. The caller ends the step.
    fn due(_run: &mut Run, deadline: Deadline, _now: Time) -> Result<(), Deadline> {
        Err(deadline)
    }

    /// Adds to the overlay the state that the history does not hold.
    fn keep(_run: &Run, _overlay: &mut Overlay) {}

    /// Restores a run that was rebuilt from its history.
    ///
    /// # Errors
    ///
    /// Returns how the overlay contradicts the history.
    fn restore(_run: &mut Run, _overlay: &mut Overlay) -> Result<(), String> {
        Ok(())
    }

    /// Adds to the description of an open run.
    fn describe(_run: &Run, _described: &mut DescribeWorkflowExecutionResponse) {}
}

/// Whether an event fits the state; the error is the contradiction.
pub(super) type Applied = Result<(), &'static str>;
