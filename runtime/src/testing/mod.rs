//! Tests without waiting: histories replayed against today's code.

mod replayer;

pub use replayer::{ReplayFailure, Replayer};
