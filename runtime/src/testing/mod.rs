//! Tests without waiting: workflows on an engine whose clock skips idle time, single activities, replay of recorded
//! histories.

mod activity;
#[cfg(feature = "embedded")]
mod checks;
#[cfg(feature = "embedded")]
mod environment;
#[cfg(feature = "embedded")]
mod mocks;
pub(crate) mod playback;
mod replayer;
#[cfg(all(test, feature = "embedded"))]
mod tests;
#[cfg(feature = "embedded")]
mod update_outcomes;

pub use activity::ActivityEnvironment;
#[cfg(feature = "embedded")]
pub use environment::WorkflowEnvironment;
#[cfg(feature = "embedded")]
pub use mocks::{Mock, MockCalls};
#[doc(hidden)]
pub use playback::PlayedTask;
pub use replayer::{ReplayFailure, Replayer};
