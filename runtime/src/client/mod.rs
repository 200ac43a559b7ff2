//! Reaches workflows from outside.

mod handle;

pub use handle::{Client, Target, Untyped, WithStart, WorkflowHandle};
