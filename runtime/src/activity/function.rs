//! The annotated functions, which identify activities.

use super::call::ActivityCall;
use super::definition::Activity;

/// The function that `#[activity]` generates under the user's name. `Signature` only distinguishes the arities.
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
