//! The executor's contract: what each construct issues, in which order things happen, and that history alone decides.

mod cancellation;
mod constructs;
mod cuts;
mod drops;
mod handlers;
mod limits;
mod mismatches;
mod order;
mod patches;
mod phases;
pub(crate) mod story;
