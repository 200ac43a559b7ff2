//! What `#[activity]` implements.

use std::sync::Arc;

use super::typed::CallErrorType;
use super::{ActivityCall, ActivityContext};
use crate::data::{ActivityOptions, Arguments, Codec};
use crate::errors::ActivityError;
use crate::tasks::SendFuture;

/// An activity's signature. Implemented by the type that `#[activity]` makes.
pub trait Activity: Sized + 'static {
    /// The activity type's name on the wire.
    const NAME: &'static str;
    /// The inputs, as a tuple.
    type Args: 'static;
    /// What it gives its caller.
    type Output: 'static;
    /// The error of its caller in place of that: [`ActivityFailure`](struct@crate::ActivityFailure), or [`CallError`](crate::CallError) of an error that travels.
    type Error: CallErrorType;
    #[doc(hidden)]
    const ARGUMENTS: &'static dyn Arguments<Self::Args>;
    #[doc(hidden)]
    const OUTPUT: Codec<Self::Output>;
    /// The options of its attribute.
    const OPTIONS: ActivityOptions;
    /// Whether its body blocks a thread (`fn`) instead of awaiting (`async fn`).
    const BLOCKING: bool = false;
}

/// An activity that needs nothing but its arguments: a function.
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

/// The function that `#[activity]` leaves under the user's name. `Signature` only keeps the arities apart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an activity",
    label = "not an activity",
    note = "write `#[activity]` on the function, and pass the function itself: `do_purchase`, not `do_purchase(purchase)`"
)]
pub trait ActivityFn<Signature> {
    /// The activity's type.
    type Activity: Activity;
}

macro_rules! arity {
    ($($P:ident),*) => {
        #[diagnostic::do_not_recommend]
        impl<Function, A, $($P),*> ActivityFn<fn($($P),*) -> A> for Function
        where Function: Fn($($P),*) -> ActivityCall<A>, A: Activity<Args = ($($P,)*)> {
            type Activity = A;
        }
    };
}
arity!();
arity!(P1);
arity!(P1, P2);
arity!(P1, P2, P3);
arity!(P1, P2, P3, P4);
arity!(P1, P2, P3, P4, P5);
arity!(P1, P2, P3, P4, P5, P6);
arity!(P1, P2, P3, P4, P5, P6, P7);
arity!(P1, P2, P3, P4, P5, P6, P7, P8);
