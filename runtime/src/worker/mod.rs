//! Runs workflows and activities: what is registered, and (from here on down) the shell around the executor.

mod registry;

pub use registry::Registry;
