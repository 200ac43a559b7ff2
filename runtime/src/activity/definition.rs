//! The traits that `#[activity]` implements.

use std::sync::Arc;

use super::context::ActivityContext;
use super::typed::CallErrorType;
use crate::data::{ActivityOptions, Arguments, Codec};
use crate::errors::ActivityError;
use crate::tasks::SendFuture;

/// An activity's signature. Implemented by the type that `#[activity]` generates.
pub trait Activity: Sized + 'static {
    /// The activity type's name on the wire.
    const NAME: &'static str;
    /// The inputs, as a tuple.
    type Args: 'static;
    /// The type of the result.
    type Output: 'static;
    /// The error that a caller receives: [`ActivityFailure`](struct@crate::ActivityFailure), or [`CallError`](crate::CallError) of the
    /// activity's own error type.
    type Error: CallErrorType;
    #[doc(hidden)]
    const ARGUMENTS: &'static dyn Arguments<Self::Args>;
    #[doc(hidden)]
    const OUTPUT: Codec<Self::Output>;
    /// The options of the attribute.
    const OPTIONS: ActivityOptions;
    /// Whether the body blocks a thread (`fn`) instead of awaiting (`async fn`).
    const BLOCKING: bool = false;
    /// Whether the worker sends heartbeats while the body makes progress (`heartbeat = auto`).
    const AUTO_HEARTBEAT: bool = false;
}

/// An activity that is a function, and needs only its arguments.
#[diagnostic::on_unimplemented(
    message = "this activity cannot run from its function alone",
    label = "registered without what it needs",
    note = "a method: register its value, and with it all its activities: `.activities(Payments {{ .. }})`",
    note = "a definition without a body runs elsewhere: register it where its body is"
)]
pub trait FunctionActivity: Activity {
    #[doc(hidden)]
    fn execute_activity(context: ActivityContext, args: Self::Args) -> SendFuture<Result<Self::Output, ActivityError>>;
}

/// An activity that shares `Shared` with the other methods of its `#[activities]` block.
pub trait MethodActivity: Activity {
    /// The type of the block.
    type Shared: Send + Sync + 'static;
    #[doc(hidden)]
    fn execute_activity(
        shared: Arc<Self::Shared>,
        context: ActivityContext,
        args: Self::Args,
    ) -> SendFuture<Result<Self::Output, ActivityError>>;
}

/// The error that the activity `A` returns: [`ActivityError`], or its own enum with
/// [`#[derive(ActivityFailure)]`](macro@crate::ActivityFailure).
pub type ActivityErrorOf<A> = <<A as Activity>::Error as CallErrorType>::Returned;
