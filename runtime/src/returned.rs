//! The meaning of a handler's return type: `T`, `Result<T, E>`, or an alias of either.

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::activity::TypedFailure;
use crate::data::{Codec, Payload, codec};
use crate::errors::{ActivityError, WorkflowError};

/// Distinguishes `Result` from everything else by type, not by spelling. The inherent constant takes precedence over the trait's,
/// so `Returned::<R>::FALLIBLE` is true exactly for results; `R` is concrete because generic functions are refused.
pub struct Returned<R>(PhantomData<R>);

impl<T, E> Returned<Result<T, E>> {
    /// Whether the type is a `Result`.
    pub const FALLIBLE: bool = true;
}

impl<T, E: TypedFailure> Returned<Result<T, E>> {
    /// Whether the error travels by its variants.
    pub const TYPED: bool = true;
}

/// In scope (as `_`) wherever an expansion asks `Returned::<R>::FALLIBLE` or `TYPED`.
pub trait Plain {
    /// Whether the type is a `Result`: this constant is reached where it is not.
    const FALLIBLE: bool = false;
    /// Whether the error travels by its variants.
    const TYPED: bool = false;
}
impl<R> Plain for Returned<R> {}

/// Total: every type is one or the other, so no use of it can fail. The bounds on `T` and `E` are checked elsewhere, once.
pub trait Returns<const FALLIBLE: bool> {
    type Output;
    type Error;
    fn into_result(self) -> Result<Self::Output, Self::Error>;
}

impl<T> Returns<false> for T {
    type Output = T;
    type Error = Infallible;
    fn into_result(self) -> Result<T, Self::Error> {
        Ok(self)
    }
}

impl<T, E> Returns<true> for Result<T, E> {
    type Output = T;
    type Error = E;
    fn into_result(self) -> Result<T, E> {
        self
    }
}

/// The output that a caller receives from a handler that returns `R`.
pub type ReturnsOf<R, const FALLIBLE: bool> = <R as Returns<FALLIBLE>>::Output;

/// An error that may end what returned it. `Ending` is `WorkflowError` or `ActivityError`; `TYPED` where the latter keeps the
/// error's variants.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot become `{Ending}`",
    label = "this error type has no conversion",
    note = "an error type of yours: implement `std::error::Error` for it; an activity can also return an enum with `#[derive(ActivityFailure)]`, whose variants its callers match",
    note = "another (text, `Box<dyn Error>`, `anyhow::Error`): return `Result<_, {Ending}>`, and convert it: `.map_err(|error| {Ending}::new(error.to_string()))?`"
)]
pub trait Ends<Ending, const TYPED: bool> {
    fn into_ending(self) -> Ending;
}
#[diagnostic::do_not_recommend]
impl<E: Into<Ending>, Ending> Ends<Ending, false> for E {
    fn into_ending(self) -> Ending {
        self.into()
    }
}
#[diagnostic::do_not_recommend]
impl<E: TypedFailure> Ends<ActivityError, true> for E {
    fn into_ending(self) -> ActivityError {
        ActivityError::typed(self)
    }
}

/// The codec of what `R` gives its caller. The only place where an output type is checked.
pub const fn output<R: Returns<FALLIBLE, Output: Payload>, const FALLIBLE: bool>() -> Codec<R::Output> {
    codec("result")
}

/// Converts the return value of a body into a result. The only place where an error type is checked: expansions name it
/// with its types before they call it, because rustc then blames the type and not the argument.
pub fn settle<R, const FALLIBLE: bool, const TYPED: bool, Ending>(returned: R) -> Result<R::Output, Ending>
where
    R: Returns<FALLIBLE, Error: Ends<Ending, TYPED>>,
{
    returned.into_result().map_err(Ends::into_ending)
}

/// The return value of a signal.
#[diagnostic::on_unimplemented(
    message = "a signal returns nothing, this one returns `{Self}`",
    label = "nobody waits for it",
    note = "make it an `#[update]` to answer the caller, or return `()` or `Result<(), E>`"
)]
pub trait Nothing {}
impl Nothing for () {}

/// `settle` for a signal.
pub fn settle_signal<R, const FALLIBLE: bool>(returned: R) -> Result<(), WorkflowError>
where
    R: Returns<FALLIBLE, Output: Nothing, Error: Ends<WorkflowError, false>>,
{
    returned.into_result().map(drop).map_err(Ends::into_ending)
}
