//! Compares the history that a script of requests produces with a recorded one, event by event, attributes included.
//!
//! The recorded histories come from a real Temporal server. To record them again, with a server listening at HOST:PORT:
//!
//! ```text
//! EVERLOOP_TEST_TARGET=HOST:PORT UPDATE_EXPECT=1 cargo test -p everloop-server --test histories
//! ```
//!
//! Without the first variable the scripts run on an in-process engine.

mod activities;
mod basics;
mod commands;
mod normal;
mod script;
mod tasks;
mod updates;
