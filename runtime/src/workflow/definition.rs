//! The traits that `#[workflow]` implements, and the call that starts a workflow.

use std::rc::Rc;

use super::handlers::Handlers;
use crate::client::{Target, WorkflowHandle};
use crate::data::{Arguments, Codec, DecodeError};
use crate::errors::WorkflowError;
use crate::executor::LocalFuture;
use crate::raw;

/// A workflow's signature and body. Implemented by `#[workflow] impl`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a workflow",
    label = "has no `#[workflow] impl` block",
    note = "write `#[workflow]` on the struct and on the `impl {Self}` block that holds its `#[run]`"
)]
pub trait Workflow: Sized + 'static {
    /// The workflow type's name on the wire.
    const NAME: &'static str;
    /// The inputs, as a tuple.
    type Args: 'static;
    /// The type of the result.
    type Output: 'static;
    #[doc(hidden)]
    const ARGUMENTS: &'static dyn Arguments<Self::Args>;
    #[doc(hidden)]
    const OUTPUT: Codec<Self::Output>;
    /// The typed handle.
    type Handle<T: Target>: From<WorkflowHandle<Self, T>>;
    #[doc(hidden)]
    fn new(inputs: &[raw::Payload]) -> Result<Self, DecodeError>;
    // Neither named `run` nor a method: rustc would suggest it to users who call `workflow.run(..)`.
    #[doc(hidden)]
    fn execute_workflow(workflow: Rc<Self>, args: Self::Args) -> LocalFuture<Result<Self::Output, WorkflowError>>;
    #[doc(hidden)]
    fn handlers(handlers: &mut Handlers<Self>);
}

/// The initial state of a workflow without `#[init]`, which is its default.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no initial state",
    label = "neither `Default` nor `#[init]`",
    note = "derive `Default`, or add `#[init] fn new(..) -> Self` with the arguments of `#[run]`"
)]
pub trait InitialState {
    /// The state before any handler has run.
    fn initial_state() -> Self;
}
#[diagnostic::do_not_recommend]
impl<W: Default> InitialState for W {
    fn initial_state() -> W {
        W::default()
    }
}

/// A workflow with its arguments: `OneClickBuy::run(purchase)` returns one.
///
/// A call is plain data. A client starts it: `client.start(OneClickBuy::run(purchase))`. In the code of another workflow,
/// `.await` runs it as a child and returns its output, and [`start`](Self::start) returns a handle of the child.
///
/// ```
/// use everloop::prelude::*;
///
/// # #[workflow]
/// # #[derive(Default)]
/// # pub struct Delivery {}
/// # #[workflow]
/// # impl Delivery {
/// #     #[run]
/// #     async fn run(&self, item: String) -> WorkflowResult<u32> { Ok(item.len() as u32) }
/// #     #[signal]
/// #     fn hurry(&self) {}
/// # }
/// #[workflow]
/// #[derive(Default)]
/// pub struct Order {}
///
/// #[workflow]
/// impl Order {
///     #[run]
///     async fn run(&self, item: String) -> WorkflowResult<u32> {
///         let gift = Delivery::run("card".to_owned()).id("gift").start().await?;
///         gift.hurry().await?;
///         let days = Delivery::run(item).await?;
///         Ok(days.max(gift.result().await?))
///     }
/// }
/// ```
///
/// # Errors
/// [`ChildFailure`](crate::workflow::ChildFailure) if the child does not start, fails, is cancelled or terminated, or does not
/// end in time.
#[must_use = "a call does nothing until it is handed to a client, or awaited or started in a workflow"]
pub struct WorkflowCall<W: Workflow> {
    pub(crate) args: W::Args,
}

impl<W: Workflow> WorkflowCall<W> {
    #[doc(hidden)]
    pub fn new(args: W::Args) -> Self {
        Self { args }
    }
}
