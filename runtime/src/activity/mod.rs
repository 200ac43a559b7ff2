//! Activities: the functions that touch the world. Their signatures, calls and options; what runs them is the worker's.

mod call;
mod context;
mod definition;
mod future;
mod typed;

pub use call::ActivityCall;
pub use context::{ActivityCancelReason, ActivityContext, ActivityInfo, Context, TaskToken};
pub use definition::{Activity, ActivityFn, FunctionActivity, MethodActivity};
pub use future::{ActivityFuture, ActivityHandle};
pub use typed::{
    ActivityErrorOf, CallError, CallErrorOf, CallErrorType, FailureParts, Said, SaidByDebug, SaidByDisplay,
    TypedFailure,
};

pub(crate) use context::{ContextSignals, Heartbeats};
