//! The table of subjects. A new subject is a file beside this one and a line in the table.

use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::enums::{CommandType, WorkflowTaskFailedCause as Cause};
use crate::api::workflowservice::DescribeWorkflowExecutionResponse;
use crate::engine::commands::Commands;
use crate::engine::deadline::Deadline;
use crate::engine::error::Rejected;
use crate::engine::event::{Attributes, EventId, HistoryEvent, Order};
use crate::engine::overlay::Overlay;
use crate::engine::run::Run;
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::Time;

macro_rules! subjects {
    ($($subject:ty,)*) => {
        impl Run {
            /// Applies one command.
            pub(super) fn command(&mut self, command: CommandAttributes, commands: &mut Commands) -> Result<(), Rejected> {
                $(
                    let command = match <$subject>::command(self, command, commands) {
                        Ok(applied) => return applied,
                        Err(other) => other,
                    };
                )*
                drop(command);
                let detail = format!("{:?} is not supported by this server", commands.kind);
                Err(Rejected::new(Cause::FeatureDisabled, detail))
            }

            /// Applies an event to the state. `id` is [`BUFFERED`](super::event::BUFFERED) for a buffered event.
            ///
            /// # Errors
            ///
            /// Returns how the event contradicts the state. An event that this engine wrote does not.
            pub(super) fn apply(&mut self, id: EventId, event: &HistoryEvent) -> Applied {
                let Some(attributes) = &event.attributes else { return Err("it has no attributes") };
                let time = event.event_time.as_ref().map(Time::from).unwrap_or_default();
                $(
                    if let Some(applied) = <$subject>::apply(self, id, time, attributes) {
                        return applied;
                    }
                )*
                Err("this engine has no such event")
            }

            /// Handles a deadline.
            pub(super) fn due(&mut self, deadline: Deadline, now: Time) {
                $(
                    let deadline = match <$subject>::due(self, deadline, now) {
                        Ok(()) => return,
                        Err(other) => other,
                    };
                )*
                debug_assert!(false, "{deadline:?} is of no subject");
            }

            /// The state of the run that its history does not hold and that must survive the process.
            pub(crate) fn overlay(&self) -> Overlay {
                let mut overlay = Overlay { buffered: self.state.buffered.clone(), ..Overlay::default() };
                $(<$subject>::keep(self, &mut overlay);)*
                overlay
            }

            /// Restores a run that was rebuilt from its history.
            pub(super) fn restore_subjects(&mut self, overlay: &mut Overlay) -> Result<(), String> {
                $(<$subject>::restore(self, overlay)?;)*
                Ok(())
            }

            /// Adds the descriptions of all subjects to that of an open run.
            pub(super) fn describe_subjects(&self, described: &mut DescribeWorkflowExecutionResponse) {
                $(<$subject>::describe(self, described);)*
            }
        }

        /// The order of an event among those that are buffered during a workflow task.
        fn order(event: &Attributes) -> Order {
            let order = None$(.or_else(|| <$subject>::order(event)))*;
            order.unwrap_or(Order::Later)
        }

        fn numbered(run: &mut Run, id: EventId, event: &Attributes) {
            $(<$subject>::numbered(run, id, event);)*
        }

        fn started_event_id(event: &mut Attributes) -> Option<&mut EventId> {
            $(
                if <$subject>::started_event_id(event).is_some() {
                    return <$subject>::started_event_id(event);
                }
            )*
            None
        }

        const COMMANDS: &[&[(CommandType, Cause)]] = &[$(<$subject>::COMMANDS,)*];
    };
}

subjects! {
    super::start::StartRules,
    super::workflow_task::WorkflowTaskRules,
    super::activity::ActivityRules,
    super::timer::TimerRules,
    super::signal::SignalRules,
    super::child::ChildRules,
    super::external::ExternalRules,
    super::cancel::CancelRules,
    super::update::UpdateRules,
    super::memo::MemoRules,
    super::attributes::AttributeRules,
    super::marker::MarkerRules,
    super::close::CloseRules,
    super::continue_as_new::ContinueAsNewRules,
}

impl Run {
    /// Appends a buffered event, which has its number from now on.
    pub(super) fn number(&mut self, event: HistoryEvent) -> EventId {
        let id = self.history.next_event_id();
        if let Some(attributes) = &event.attributes {
            numbered(self, id, attributes);
        }
        self.history.append(event)
    }

    /// The order of an event among those that are buffered during a workflow task.
    pub(super) fn order(event: &HistoryEvent) -> Order {
        event.attributes.as_ref().map_or(Order::Later, order)
    }

    /// The field of an event that refers to the event that started the operation it ends.
    pub(super) fn started_event_id(event: &mut HistoryEvent) -> Option<&mut EventId> {
        event.attributes.as_mut().and_then(started_event_id)
    }

    /// The rejection of a command without attributes.
    pub(super) fn missing_attributes(kind: CommandType) -> Rejected {
        let mut causes = COMMANDS.iter().copied().flatten().filter(|(of, _)| *of == kind).map(|(_, cause)| *cause);
        let cause = causes.next().unwrap_or(Cause::FeatureDisabled);
        Rejected::new(cause, format!("attributes of {kind:?} are not set on command"))
    }
}
