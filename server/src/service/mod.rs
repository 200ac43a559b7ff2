//! The services of an engine: requests in, answers out, around the transitions of [`crate::engine`].
//!
//! [`runs`] has the runs and their locks, [`calls`] the calls of the protocol, [`builder`] and [`host`] an engine
//! and its threads, and [`core`] what all of them share.

pub(crate) mod builder;
pub(crate) mod calls;
pub(crate) mod core;
pub(crate) mod error;
pub(crate) mod handle;
pub(crate) mod host;
pub(crate) mod runs;

#[cfg(test)]
mod tests;
