//! Pausing, unpausing and resetting activities, on request.

use crate::engine::activity::state::Pause;
use crate::engine::error::Refusal;
use crate::engine::event::EventId;
use crate::engine::run::Run;
use crate::engine::time::Time;

/// The pending activities that a request is about.
#[derive(Clone, Debug)]
pub(crate) enum ActivitySelection {
    Id(String),
    Type(String),
    All,
}

/// Further effects of a request to unpause or to reset.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Restart {
    pub(crate) reset_attempts: bool,
    pub(crate) reset_heartbeat: bool,
    /// Whether a reset leaves a paused activity paused.
    pub(crate) keep_paused: bool,
}

impl Run {
    /// Pauses activities: no attempt starts, no timeout counts, and heartbeats tell the attempts that run.
    pub(crate) fn pause_activities(&mut self, which: &ActivitySelection, pause: &Pause) -> Result<(), Refusal> {
        let selected = self.selected_activities(which)?;
        let mut unpaused = Vec::new();
        for id in selected {
            match self.state.activities.get(&id).and_then(|activity| activity.paused.as_ref()) {
                None => unpaused.push(id),
                Some(earlier) if earlier.request_id == pause.request_id => {}
                Some(_) => return Err(Refusal::FailedPrecondition("activity is already paused".to_owned())),
            }
        }
        for id in unpaused {
            self.withdraw_activity_offers(id);
            self.change_activity(id, |activity| activity.paused = Some(pause.clone()));
        }
        Ok(())
    }

    /// Ends the pause of activities. Those that do not run are offered at once.
    pub(crate) fn unpause_activities(
        &mut self,
        which: &ActivitySelection,
        restart: Restart,
        now: Time,
    ) -> Result<(), Refusal> {
        for id in self.selected_activities(which)? {
            if self.state.activities.get(&id).is_none_or(|activity| activity.paused.is_none()) {
                continue;
            }
            self.change_activity(id, |activity| {
                activity.paused = None;
                if restart.reset_attempts {
                    activity.attempt = 1;
                }
                if restart.reset_heartbeat {
                    activity.forget_heartbeats();
                }
            });
            self.start_over(id, now);
        }
        Ok(())
    }

    /// Makes the attempts of activities count from the first again. Those that do not run are offered at once.
    pub(crate) fn reset_activities(
        &mut self,
        which: &ActivitySelection,
        restart: Restart,
        now: Time,
    ) -> Result<(), Refusal> {
        for id in self.selected_activities(which)? {
            self.change_activity(id, |activity| {
                activity.attempt = 1;
                activity.reset = true;
                activity.reset_heartbeat |= restart.reset_heartbeat;
                if !restart.keep_paused {
                    activity.paused = None;
                }
            });
            self.start_over(id, now);
        }
        Ok(())
    }

    /// Offers the activity at once, whatever it has waited for. A running attempt goes on, and a paused activity stays paused.
    fn start_over(&mut self, id: EventId, now: Time) {
        let activity = self.state.activities.get(&id);
        if activity.is_none_or(|activity| activity.started.is_some() || activity.paused.is_some()) {
            return;
        }
        self.withdraw_activity_offers(id);
        self.change_activity(id, |activity| {
            activity.scheduled = now;
            activity.backing_off = false;
            activity.last_failure = None;
            activity.end_reset();
        });
        self.offer_activity(id);
    }

    fn selected_activities(&self, which: &ActivitySelection) -> Result<Vec<EventId>, Refusal> {
        let selected: Vec<EventId> = match which {
            ActivitySelection::Id(id) => self.state.activity_ids.get(id.as_str()).copied().into_iter().collect(),
            ActivitySelection::Type(kind) => {
                let activities = self.state.activities.values().filter(|activity| *activity.activity_type == **kind);
                activities.map(|activity| activity.scheduled_event_id).collect()
            }
            ActivitySelection::All => self.state.activities.keys().copied().collect(),
        };
        match selected.is_empty() {
            true => Err(Refusal::NotFound(
                "Can't find pending activity with such ID. Invalid activityID or activity already completed".to_owned(),
            )),
            false => Ok(selected),
        }
    }
}
