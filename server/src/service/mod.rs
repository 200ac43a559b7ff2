//! The services of an engine: they turn requests into transitions of [`crate::engine`], and their results into
//! responses.
//!
//! [`runs`] contains the runs and their locks, [`calls`] the calls of the protocol, [`builder`] and [`host`] the engine
//! and its threads, and [`core`] their shared parts.

pub(crate) mod builder;
pub(crate) mod calls;
pub(crate) mod core;
pub(crate) mod error;
pub(crate) mod handle;
pub(crate) mod host;
pub(crate) mod runs;

#[cfg(test)]
mod tests;
