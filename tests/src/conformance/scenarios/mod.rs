//! The scenarios, by subject. Letters refer to the sequences that every server of this protocol must produce.

mod activities;
mod activity_cancellation;
mod activity_pause;
mod activity_timeouts;
mod children;
mod closing;
mod continuing;
mod cron;
mod externals;
mod histories;
mod listing;
mod namespaces;
mod queries;
mod retrying;
mod search_attributes;
mod signals;
mod starting;
mod sticky;
mod timers;
mod updates;
mod workflow_tasks;

use super::suite::Scenario;

/// Every scenario.
pub(super) fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        activities::ALL,
        activity_cancellation::ALL,
        activity_pause::ALL,
        activity_timeouts::ALL,
        children::ALL,
        closing::ALL,
        continuing::ALL,
        externals::ALL,
        cron::ALL,
        histories::ALL,
        listing::ALL,
        namespaces::ALL,
        queries::ALL,
        retrying::ALL,
        search_attributes::ALL,
        signals::ALL,
        starting::ALL,
        sticky::ALL,
        timers::ALL,
        updates::ALL,
        workflow_tasks::ALL,
    ]
    .into_iter()
    .flatten()
}
