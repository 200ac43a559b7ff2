//! The operations of workflow code: timers, coroutines, conditions, scopes, and facts about the run.
//!
//! Operations are free functions, as in tokio. [`prelude`](crate::prelude) has those that a workflow awaits; functions for facts
//! are called by this module's name:
//!
//! ```
//! use everloop::prelude::*;
//!
//! #[workflow]
//! #[derive(Default)]
//! pub struct Reminder {}
//!
//! #[workflow]
//! impl Reminder {
//!     #[run]
//!     async fn run(&self, wait: Duration) -> WorkflowResult<String> {
//!         let asked = workflow::now();
//!         sleep(wait).await?;
//!         let waited = workflow::now().duration_since(asked)?;
//!         Ok(format!("{} waited {} s", workflow::info().workflow_id, waited.as_secs()))
//!     }
//! }
//! ```
//!
//! To change the code of a workflow while runs of it are open, see [`patched`].
//!
//! The functions work on the current run. Outside a run they panic, and the message names the function to call instead. The
//! futures are not `Send`, so awaiting one in an activity does not compile.

mod child;
mod combinators;
mod continue_as_new;
mod definition;
mod external;
mod handlers;
mod message;
mod operations;
mod patches;
mod pool;
mod scope;
mod spawn;
mod state;
mod wait_state;

pub use child::{Child, ChildCall, ChildFuture, ChildResult, ChildStart};
pub use combinators::{Elapsed, JoinAll, Timeout, join_all, timeout};
pub use continue_as_new::{ContinueAsNew, continue_as_new, continue_as_new_untyped};
pub use definition::{Workflow, WorkflowCall};
pub use external::{CancelSent, External, SignalSent, external_workflow};
pub use operations::{
    CancelledFuture, Sleep, WaitCondition, YieldNow, all_handlers_finished, cancelled, info, is_cancelled,
    is_replaying, now, random, random_range, sleep, sleep_until, this, uuid, wait_condition, yield_now,
};
pub use patches::{deprecate_patch, patched};
pub use scope::{Scope, scope};
pub use spawn::{JoinHandle, shield, spawn};
pub use state::State;
pub use uuid::Uuid;
pub use wait_state::WaitState;

pub use crate::data::{ChildCancellationType, ParentClosePolicy, UnfinishedPolicy};
pub use crate::errors::{Cancelled, ChildFailure, WorkflowError, WorkflowResult};
pub use crate::executor::{OnlyInsideAWorkflow, Random, WorkflowInfo};

// Expansions use these names, through `__private`.
#[doc(hidden)]
pub use definition::InitialState;
#[doc(hidden)]
pub use handlers::Handlers;
#[doc(hidden)]
pub use message::Message;
