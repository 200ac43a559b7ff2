//! Workflows, workers and clients as users write them, with only the crate `everloop`, on every target.
//!
//! `conformance` compares the responses to single calls; these tests check the whole, on every server. Each test has its own task
//! queue and workflow ids, so tests run concurrently, on a server that others use too.

mod warnings;
mod world;

mod activities;
mod attempts;
mod chains;
mod children;
mod clients;
mod codecs;
mod concurrency;
mod deploys;
mod durations;
mod endings;
mod failures;
mod heartbeats;
mod interceptors;
mod local_activities;
mod mistakes;
mod patches;
mod queries;
mod replay;
mod signals;
mod timers;
mod unsent;
mod updates;
mod values;
