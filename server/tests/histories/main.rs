//! What a script of requests leaves in the history, event by event, attributes included.
//!
//! The recorded histories come from a real Temporal server. To record them again, with one listening at HOST:PORT:
//!
//! ```text
//! EVERLOOP_TEST_TARGET=HOST:PORT UPDATE_EXPECT=1 cargo test -p everloop-server --test histories
//! ```
//!
//! Without the first variable the scripts run on an engine of this process.

mod activities;
mod basics;
mod commands;
mod normal;
mod script;
mod tasks;
mod updates;
