//! Timers of one run.

use std::sync::Arc;

use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::command::{CancelTimerCommandAttributes, StartTimerCommandAttributes};
use crate::api::enums::{CommandType, WorkflowTaskFailedCause as Cause};
use crate::api::history::{TimerCanceledEventAttributes, TimerFiredEventAttributes, TimerStartedEventAttributes};
use crate::engine::commands::{Commands, wrong_state};
use crate::engine::deadline::Deadline;
use crate::engine::error::Rejected;
use crate::engine::event::{Attributes, EventId, HistoryEvent, Order};
use crate::engine::run::Run;
use crate::engine::state::UserTimer;
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::{Time, duration, wire_duration};
use crate::limits::ID_BYTES_MAX;

/// The rules of timers.
pub(super) struct TimerRules;

impl Subject for TimerRules {
    const COMMANDS: &'static [(CommandType, Cause)] = &[
        (CommandType::StartTimer, Cause::BadStartTimerAttributes),
        (CommandType::CancelTimer, Cause::BadCancelTimerAttributes),
    ];

    fn command(
        run: &mut Run,
        command: CommandAttributes,
        commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        match command {
            CommandAttributes::StartTimerCommandAttributes(it) => Ok(run.start_timer(it, commands)),
            CommandAttributes::CancelTimerCommandAttributes(it) => Ok(run.cancel_timer(it, commands)),
            other => Err(other),
        }
    }

    fn order(event: &Attributes) -> Option<Order> {
        match event {
            Attributes::TimerStartedEventAttributes(_) | Attributes::TimerCanceledEventAttributes(_) => {
                Some(Order::Now)
            }
            Attributes::TimerFiredEventAttributes(_) => Some(Order::Later),
            _ => None,
        }
    }

    fn apply(run: &mut Run, id: EventId, time: Time, event: &Attributes) -> Option<Applied> {
        match event {
            Attributes::TimerStartedEventAttributes(it) => return Some(run.apply_timer_started(id, time, it)),
            Attributes::TimerFiredEventAttributes(it) => run.apply_timer_finished(&it.timer_id, it.started_event_id),
            Attributes::TimerCanceledEventAttributes(it) => run.apply_timer_finished(&it.timer_id, it.started_event_id),
            _ => return None,
        }
        Some(Ok(()))
    }

    fn due(run: &mut Run, deadline: Deadline, now: Time) -> Result<(), Deadline> {
        match deadline {
            Deadline::Timer(started_event_id, id) => run.fire_timers(started_event_id, id, now),
            other => return Err(other),
        }
        Ok(())
    }
}

impl Run {
    fn start_timer(
        &mut self,
        attributes: StartTimerCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        let bad = |detail: &str| Rejected::new(Cause::BadStartTimerAttributes, detail);
        if attributes.timer_id.is_empty() {
            return Err(bad("TimerId is not set on StartTimerCommand."));
        }
        if attributes.timer_id.len() > ID_BYTES_MAX {
            return Err(bad("TimerId on StartTimerCommand exceeds length limit."));
        }
        let after = duration(attributes.start_to_fire_timeout.as_ref())
            .map_err(|_| bad("An invalid StartToFireTimeout is set on StartTimerCommand."))?;
        let timer_id = attributes.timer_id.as_str();
        if self.state.timers.contains_key(timer_id) {
            let detail = wrong_state("add-timer-started-event", &format!("TimerID: {timer_id}"));
            return Err(Rejected::new(Cause::StartTimerDuplicateId, detail));
        }
        let event = commands.event(TimerStartedEventAttributes {
            timer_id: attributes.timer_id,
            start_to_fire_timeout: attributes.start_to_fire_timeout.and_then(|_| wire_duration(after)),
            workflow_task_completed_event_id: commands.completed_event_id,
        });
        self.append_event(event);
        Ok(())
    }

    fn apply_timer_started(
        &mut self,
        id: EventId,
        time: Time,
        started: &TimerStartedEventAttributes,
    ) -> Result<(), &'static str> {
        let after = duration(started.start_to_fire_timeout.as_ref()).map_err(|_| "its duration is negative")?;
        let (timer_id, expiry) = (Arc::<str>::from(started.timer_id.as_str()), time + after);
        self.arm(expiry, Deadline::Timer(id, timer_id.clone()));
        let timer = UserTimer { started_event_id: id, expiry };
        if let Some(earlier) = self.state.timers.insert(timer_id.clone(), timer) {
            // The earlier timer has fired; its event was buffered during the workflow task that started this timer, and
            // follows.
            self.disarm(earlier.expiry, Deadline::Timer(earlier.started_event_id, timer_id));
        }
        Ok(())
    }

    /// Removes a timer that has fired or is canceled. A later timer may have the same id by now; it is kept.
    fn apply_timer_finished(&mut self, timer_id: &str, started_event_id: EventId) {
        let is_it = |timer: &UserTimer| timer.started_event_id == started_event_id;
        if self.state.timers.get(timer_id).is_some_and(is_it)
            && let Some((timer_id, timer)) = self.state.timers.remove_entry(timer_id)
        {
            self.disarm(timer.expiry, Deadline::Timer(started_event_id, timer_id));
        }
    }

    fn cancel_timer(
        &mut self,
        attributes: CancelTimerCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        let bad = |detail: String| Rejected::new(Cause::BadCancelTimerAttributes, detail);
        if attributes.timer_id.is_empty() {
            return Err(bad("TimerId is not set on CancelTimerCommand.".to_owned()));
        }
        let timer_id = attributes.timer_id.as_str();
        let started_event_id = match self.state.timers.get(timer_id) {
            Some(timer) => timer.started_event_id,
            // The timer has fired, but its event is still buffered: the event is dropped.
            None => self
                .unfire_timer(timer_id)
                .ok_or_else(|| bad(wrong_state("add-timer-canceled-event", &format!("TimerID: {timer_id}"))))?,
        };
        let event = commands.event(TimerCanceledEventAttributes {
            timer_id: attributes.timer_id,
            started_event_id,
            workflow_task_completed_event_id: commands.completed_event_id,
            identity: commands.identity.clone(),
        });
        self.append_event(event);
        if commands.has_buffered_events {
            commands.has_buffered_events = !self.state.buffered.is_empty();
        }
        Ok(())
    }

    /// Removes the fired event of a timer from the buffer; returns the event that started the timer.
    fn unfire_timer(&mut self, timer_id: &str) -> Option<EventId> {
        let fired = |event: &HistoryEvent| match &event.attributes {
            Some(Attributes::TimerFiredEventAttributes(fired)) if fired.timer_id == timer_id => {
                Some(fired.started_event_id)
            }
            _ => None,
        };
        let at = self.state.buffered.iter().position(|event| fired(event).is_some())?;
        self.touch_overlay();
        fired(&self.state.buffered.remove(at))
    }

    /// Fires a timer and all others that are due, in the order of their deadlines.
    fn fire_timers(&mut self, started_event_id: i64, id: Arc<str>, now: Time) {
        let mut next = Some((started_event_id, id));
        while let Some((started_event_id, id)) = next {
            self.append(now, TimerFiredEventAttributes { timer_id: id.to_string(), started_event_id });
            next = match self.first_due(now) {
                Some(Deadline::Timer(..)) => match self.take_due(now) {
                    Some(Deadline::Timer(started_event_id, id)) => Some((started_event_id, id)),
                    _ => None,
                },
                _ => None,
            };
        }
        self.ensure_workflow_task(now);
    }
}
