//! Local activities: the worker runs them while the workflow task that called them stays open.

mod attempt;
mod calls;
mod retry;

pub(super) use self::calls::{Caller, CannotStart, LocalActivities};
