//! The executor's contract: the commands of each construct, the order within tasks, and the independence of all but history.

mod cancellation;
mod children;
mod constructs;
mod continuing;
mod cuts;
mod drops;
mod handlers;
mod limits;
mod local;
mod mismatches;
mod order;
mod patches;
mod phases;
mod scripted;
pub(crate) mod story;
