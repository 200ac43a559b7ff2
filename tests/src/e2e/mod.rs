//! Workflows, workers and clients as users write them, with nothing but the crate `everloop`, on every target.
//!
//! What the service answers to single calls is compared in `conformance`; here it is the whole that must come out right,
//! whichever server it is. Each test has a task queue and workflow ids of its own, so they run side by side, on a server
//! that others use too.

mod warnings;
mod world;

mod activities;
mod attempts;
mod clients;
mod concurrency;
mod deploys;
mod durations;
mod endings;
mod failures;
mod mistakes;
mod queries;
mod replay;
mod signals;
mod timers;
mod unsent;
mod updates;
mod values;
