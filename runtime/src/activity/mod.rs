//! Activities: functions that reach the outside world. A workflow calls them, the engine records and retries them, and a
//! worker runs them.
//!
//! The [`#[activity]`](macro@crate::activity) attribute makes a function an activity. Calling it returns an
//! [`ActivityCall`]; awaited in a workflow, the call schedules the activity and returns its result. While an attempt runs, an
//! [`ActivityContext`] describes it and reports its progress.

mod call;
mod context;
mod definition;
mod function;
mod future;
mod heartbeats;
mod local;
mod task_token;
mod typed;

pub use call::ActivityCall;
pub use context::{ActivityCancelReason, ActivityContext, ActivityInfo};
pub use definition::{Activity, ActivityErrorOf};
pub use function::ActivityFn;
pub use future::{ActivityFuture, ActivityHandle};
pub use heartbeats::Progress;
pub use local::LocalActivityCall;
pub use task_token::{TaskToken, TaskTokenError};
pub use typed::{CallError, CallErrorType, TypedFailure};

pub use crate::data::{ActivityCancellationType, ActivityOptions, RetryPolicy};
pub use crate::errors::{ActivityError, ActivityFailure, ActivityResult};

// Named by expansions, through `__private`.
#[doc(hidden)]
pub use context::Context;
#[doc(hidden)]
pub use definition::{FunctionActivity, MethodActivity};
#[doc(hidden)]
pub use typed::{CallErrorOf, FailureParts, Said, SaidByDebug, SaidByDisplay};

pub(crate) use context::ContextSignals;
pub(crate) use heartbeats::Heartbeats;
