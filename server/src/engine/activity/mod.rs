//! Activities of one run, from the command that schedules them to the event that finishes them.

mod attempt;
pub(crate) mod report;
mod schedule;
pub(crate) mod state;
mod timeout;

use std::sync::Arc;

use crate::api::history::ActivityTaskScheduledEventAttributes;
use crate::engine::activity::state::Activity;
use crate::engine::deadline::Deadline;
use crate::engine::effects::Offer;
use crate::engine::event::EventId;
use crate::engine::run::Run;
use crate::engine::time::Time;

impl Run {
    pub(super) fn apply_activity_scheduled(
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

    /// The activity may have finished, unknown to the workflow.
    pub(super) fn apply_activity_cancel_requested(&mut self, id: EventId, scheduled_event_id: EventId) {
        self.change_activity(scheduled_event_id, |activity| activity.cancel_requested = Some(id));
    }

    /// The id of the activity may name a later one by now, which stays.
    pub(super) fn apply_activity_finished(&mut self, scheduled_event_id: EventId) {
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

    /// Changes an activity and moves its deadlines along.
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
