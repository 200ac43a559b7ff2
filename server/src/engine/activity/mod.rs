//! Activities of one run, from the command that schedules them to the event that finishes them.

mod attempt;
mod describe;
pub(crate) mod pause;
pub(crate) mod report;
mod schedule;
pub(crate) mod state;
mod timeout;

use std::sync::Arc;

use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::enums::{CommandType, WorkflowTaskFailedCause as Cause};
use crate::api::history::ActivityTaskScheduledEventAttributes;
use crate::api::workflowservice::DescribeWorkflowExecutionResponse;
use crate::engine::activity::describe::pending_activity;
use crate::engine::activity::state::{Activity, finished_activity};
use crate::engine::commands::Commands;
use crate::engine::deadline::Deadline;
use crate::engine::effects::Offer;
use crate::engine::error::Rejected;
use crate::engine::event::{Attributes, EventId, Order};
use crate::engine::overlay::{ActivityOverlay, Overlay};
use crate::engine::run::Run;
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::Time;

/// The rules of activities.
pub(in crate::engine) struct ActivityRules;

impl Subject for ActivityRules {
    const COMMANDS: &'static [(CommandType, Cause)] = &[
        (CommandType::ScheduleActivityTask, Cause::BadScheduleActivityAttributes),
        (CommandType::RequestCancelActivityTask, Cause::BadRequestCancelActivityAttributes),
    ];

    fn command(
        run: &mut Run,
        command: CommandAttributes,
        commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        match command {
            CommandAttributes::ScheduleActivityTaskCommandAttributes(it) => Ok(run.schedule_activity(it, commands)),
            CommandAttributes::RequestCancelActivityTaskCommandAttributes(it) => {
                Ok(run.request_cancel_activity(&it, commands))
            }
            other => Err(other),
        }
    }

    fn order(event: &Attributes) -> Option<Order> {
        match event {
            Attributes::ActivityTaskScheduledEventAttributes(_)
            | Attributes::ActivityTaskCancelRequestedEventAttributes(_) => Some(Order::Now),
            Attributes::ActivityTaskStartedEventAttributes(it) => Some(Order::Starting(it.scheduled_event_id)),
            _ => finished_activity(event).map(Order::Ending),
        }
    }

    fn started_event_id(event: &mut Attributes) -> Option<&mut EventId> {
        match event {
            Attributes::ActivityTaskCompletedEventAttributes(it) => Some(&mut it.started_event_id),
            Attributes::ActivityTaskFailedEventAttributes(it) => Some(&mut it.started_event_id),
            Attributes::ActivityTaskTimedOutEventAttributes(it) => Some(&mut it.started_event_id),
            Attributes::ActivityTaskCanceledEventAttributes(it) => Some(&mut it.started_event_id),
            _ => None,
        }
    }

    fn apply(run: &mut Run, id: EventId, time: Time, event: &Attributes) -> Option<Applied> {
        match event {
            Attributes::ActivityTaskScheduledEventAttributes(it) => {
                return Some(run.apply_activity_scheduled(id, time, it));
            }
            // Starts of attempts do not change the state.
            Attributes::ActivityTaskStartedEventAttributes(_) => {}
            Attributes::ActivityTaskCancelRequestedEventAttributes(it) => {
                run.apply_activity_cancel_requested(id, it.scheduled_event_id);
            }
            _ => run.apply_activity_finished(finished_activity(event)?),
        }
        Some(Ok(()))
    }

    fn due(run: &mut Run, deadline: Deadline, now: Time) -> Result<(), Deadline> {
        let Deadline::Activity(id, kind) = deadline else { return Err(deadline) };
        run.activity_deadline(id, kind, now);
        while let Some(Deadline::Activity(..)) = run.first_due(now)
            && let Some(Deadline::Activity(id, kind)) = run.take_due(now)
        {
            run.activity_deadline(id, kind, now);
        }
        Ok(())
    }

    fn keep(run: &Run, overlay: &mut Overlay) {
        overlay.activities = run.state.activities.values().filter_map(|it| ActivityOverlay::of(it)).collect();
    }

    fn restore(run: &mut Run, overlay: &mut Overlay) -> Result<(), String> {
        for it in std::mem::take(&mut overlay.activities) {
            let id = it.scheduled_event_id;
            if !run.state.activities.contains_key(&id) {
                return Err(format!("event {id} is not a pending activity"));
            }
            run.change_activity(id, |activity| it.restore(activity));
        }
        Ok(())
    }

    fn describe(run: &Run, described: &mut DescribeWorkflowExecutionResponse) {
        described.pending_activities = run.state.activities.values().map(|it| pending_activity(it)).collect();
    }
}

impl Run {
    fn apply_activity_scheduled(
        &mut self,
        id: EventId,
        time: Time,
        scheduled: &ActivityTaskScheduledEventAttributes,
    ) -> Result<(), &'static str> {
        let activity =
            Activity::of_event(id, time, scheduled).map_err(|_| "its retry policy or one of its timeouts is wrong")?;
        self.state.activity_ids.insert(activity.activity_id.clone(), id);
        for (at, kind) in activity.deadlines() {
            self.arm(at, Deadline::Activity(id, kind));
        }
        self.state.activities.insert(id, Arc::new(activity));
        Ok(())
    }

    /// The activity may have finished already, before the workflow learned of it.
    fn apply_activity_cancel_requested(&mut self, id: EventId, scheduled_event_id: EventId) {
        self.change_activity(scheduled_event_id, |activity| activity.cancel_requested = Some(id));
    }

    /// A later activity may have the same id by now; it is kept.
    fn apply_activity_finished(&mut self, scheduled_event_id: EventId) {
        let Some(activity) = self.state.activities.remove(&scheduled_event_id) else { return };
        if self.state.activity_ids.get(&activity.activity_id) == Some(&scheduled_event_id) {
            self.state.activity_ids.remove(&activity.activity_id);
        }
        self.touch_overlay();
        for (at, kind) in activity.deadlines() {
            self.disarm(at, Deadline::Activity(scheduled_event_id, kind));
        }
    }

    /// Puts the activity's current attempt on its task queue.
    pub(in crate::engine) fn offer_activity(&mut self, scheduled_event_id: EventId) {
        if let Some(activity) = self.state.activities.get(&scheduled_event_id) {
            let offer = Offer::ActivityTask {
                scheduled_event_id,
                attempt: activity.attempt,
                queue: activity.task_queue.clone(),
            };
            self.offer(offer);
        }
    }

    /// Changes an activity and updates its deadlines.
    pub(in crate::engine) fn change_activity(
        &mut self,
        scheduled_event_id: EventId,
        change: impl FnOnce(&mut Activity),
    ) {
        let Some(mut activity) = self.state.activities.remove(&scheduled_event_id) else { return };
        for (at, kind) in activity.deadlines() {
            self.disarm(at, Deadline::Activity(scheduled_event_id, kind));
        }
        change(Arc::make_mut(&mut activity));
        self.touch_overlay();
        for (at, kind) in activity.deadlines() {
            self.arm(at, Deadline::Activity(scheduled_event_id, kind));
        }
        self.state.activities.insert(scheduled_event_id, activity);
    }
}
