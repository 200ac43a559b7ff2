//! What workflow code calls, and what `#[workflow]` implements.
//!
//! The operations are free functions, as in tokio. They find the current run by themselves and panic with what to call
//! instead when there is none. Their futures are not `Send`: awaiting one in an activity does not compile.

mod combinators;
mod definition;
mod handlers;
mod operations;
mod pool;
mod scope;
mod spawn;
mod state;

pub use combinators::{Elapsed, JoinAll, Timeout, join_all, timeout};
pub use definition::{InitialState, Message, Workflow, WorkflowCall};
pub use handlers::Handlers;
pub use operations::{
    CancelledFuture, Sleep, WaitCondition, WaitState, YieldNow, all_handlers_finished, cancelled, info, is_cancelled,
    is_replaying, now, random, random_range, sleep, sleep_until, this, uuid, wait_condition, yield_now,
};
pub use scope::{Scope, scope};
pub use spawn::{JoinHandle, shield, spawn};
pub use state::State;
