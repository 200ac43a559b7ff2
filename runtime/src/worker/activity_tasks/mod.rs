//! Activity tasks, from poll to response.

mod answer;
mod attempt;
mod body;
mod eager;
mod heartbeat;
mod info;
mod poll;
mod runner;
mod watched;

pub(super) use self::answer::warn_failed;
pub(super) use self::eager::EagerSlots;
pub(super) use self::runner::ActivityRunner;
