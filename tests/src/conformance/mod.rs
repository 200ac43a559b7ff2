//! The same requests to our engine and to a real server, and the same answers.
//!
//! A scenario talks to the workflow service with nothing between: no SDK, but a [`Script`](script::Script) that starts,
//! polls and completes one call at a time. What the server answers is written down in stable words ([`render`]) and
//! compared with `golden/`, which was recorded from a real server. [`differences`] lists where ours differs on purpose.
//!
//! To record again: start a server, then
//!
//! ```text
//! UPDATE_EXPECT=1 EVERLOOP_TEST_TARGET=127.0.0.1:7233 cargo test -p everloop-tests conformance
//! ```

mod call;
mod commands;
pub(crate) mod differences;
mod messages;
pub(crate) mod render;
mod scenarios;
mod script;
mod suite;
