//! The meaning of a handler's return type: `T`, `Result<T, E>`, or an alias of either.

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::activity::TypedFailure;
use crate::data::{Codec, Payload, codec};
use crate::errors::{ActivityError, WorkflowError};

/// Distinguishes `Result` from other types by type, not by spelling. The inherent constant takes precedence over the trait's,
/// so `Returned::<R>::FALLIBLE` is true exactly for results; `R` is concrete because the macros reject generic functions.
pub struct Returned<R>(PhantomData<R>);

impl<T, E> Returned<Result<T, E>> {
    /// Whether the type is a `Result`.
    pub const FALLIBLE: bool = true;
}

impl<T, E: TypedFailure> Returned<Result<T, E>> {
    /// Whether the wire form of the error keeps its variants.
    pub const TYPED: bool = true;
}

/// In scope (as `_`) wherever an expansion uses `Returned::<R>::FALLIBLE` or `TYPED`.
pub trait Plain {
    /// Whether the type is a `Result`. Name resolution reaches this constant for all other types.
    const FALLIBLE: bool = false;
    /// Whether the wire form of the error keeps its variants.
    const TYPED: bool = false;
}
impl<R> Plain for Returned<R> {}

/// The output and error of a return type. Every type implements this trait, so its uses cause no errors; the bounds on `T` and
/// `E` are checked once, elsewhere.
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

/// An error that can fail a workflow or an activity. `Ending` is `WorkflowError` or `ActivityError`; `TYPED` if the latter keeps
/// the error's variants.
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

/// The codec of a handler's output. Only this function checks an output type.
pub const fn output<R: Returns<FALLIBLE, Output: Payload>, const FALLIBLE: bool>() -> Codec<R::Output> {
    codec("result")
}

/// Converts the return value of a body into a result. Only this function checks an error type: expansions name it with its
/// types before they call it, so that rustc's message points at the type and not at the argument.
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
