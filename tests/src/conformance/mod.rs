//! The same requests to our engine and to a real server must have the same responses.
//!
//! A scenario calls the workflow service directly: without an SDK, but with a [`Script`](script::Script) that starts, polls and
//! completes one call at a time. The server's responses are written as stable text ([`render`]) and compared with `golden/`, which
//! was recorded from a real server. [`differences`] lists deliberate differences.
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
