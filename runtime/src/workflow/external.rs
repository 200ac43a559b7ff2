//! Other workflows: signals and cancel requests to workflows that this one did not start.

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::definition::Workflow;
use crate::client::{MessageInput, SignalCall, Target, WorkflowHandle};
use crate::data::{EncodeError, Headers};
use crate::errors::{Cancelled, WorkflowError};
use crate::executor::current::current;
use crate::executor::{CancelRequest, Core, OnDrop, OperationId, Outcome, Pending, SignalRequest, WorkflowOnly};
use crate::raw;

/// Reaches a workflow by its id, from workflow code: to signal it, or to request its cancellation.
///
/// ```
/// use everloop::prelude::*;
///
/// # #[workflow]
/// # #[derive(Default)]
/// # pub struct Stock {}
/// # #[workflow]
/// # impl Stock {
/// #     #[run]
/// #     async fn run(&self) -> WorkflowResult<()> { Ok(()) }
/// #     #[signal]
/// #     fn take(&self, item: String) { _ = item; }
/// # }
/// #[workflow]
/// #[derive(Default)]
/// pub struct Order {}
///
/// #[workflow]
/// impl Order {
///     #[run]
///     async fn run(&self, item: String) -> WorkflowResult<()> {
///         workflow::external_workflow::<Stock>("stock").take(item).await?;
///         Ok(())
///     }
/// }
/// ```
pub fn external_workflow<W: Workflow>(workflow_id: impl Into<String>) -> W::Handle<External> {
    WorkflowHandle::<W, External>::from_workflow(External(()), workflow_id.into(), None).into()
}

/// Where the handle of [`external_workflow`] reaches its workflow from: another workflow's code.
#[derive(Clone)]
pub struct External(());
impl Target for External {}

impl<W: Workflow> WorkflowHandle<W, External> {
    /// Requests the cancellation of the workflow; awaiting it waits until the server has delivered the request. It succeeds also
    /// when the workflow has ended already, and fails if there is none with the id.
    ///
    /// # Panics
    /// Outside a workflow, when awaited.
    #[track_caller]
    pub fn cancel(&self) -> CancelSent {
        let target = raw::WorkflowExecution { workflow_id: self.id().to_owned(), run_id: String::new() };
        CancelSent {
            state: State::New(CancelRequest { target, reason: String::new() }),
            site: Location::caller(),
            _only: PhantomData,
        }
    }
}

impl IntoFuture for SignalCall<External> {
    type Output = Result<(), WorkflowError>;
    type IntoFuture = SignalSent;

    #[track_caller]
    fn into_future(self) -> SignalSent {
        signal(self.into_input(), false)
    }
}

/// A signal from workflow code, sent at the first poll. It ends when the server has delivered the signal.
#[must_use = "a signal is not sent until it is awaited"]
pub struct SignalSent {
    state: State<(MessageInput, bool)>,
    site: &'static Location<'static>,
    _only: WorkflowOnly,
}

/// A cancel request from workflow code, sent at the first poll. It ends when the server has delivered the request.
#[must_use = "a cancel request is not sent until it is awaited"]
pub struct CancelSent {
    state: State<CancelRequest>,
    site: &'static Location<'static>,
    _only: WorkflowOnly,
}

enum State<R> {
    New(R),
    Sent(Pending),
    Done,
}

#[track_caller]
pub(super) fn signal(input: MessageInput, child_only: bool) -> SignalSent {
    SignalSent { state: State::New((input, child_only)), site: Location::caller(), _only: PhantomData }
}

impl Future for SignalSent {
    type Output = Result<(), WorkflowError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let site = self.site;
        self.state.poll("a signal to another workflow", cx, |core, (input, child_only)| {
            let (target, name, args, headers) = input.into_parts();
            let (to, signal) = (target.workflow_id.clone(), name.clone());
            let content = move || content(args, headers, &to, &signal, site);
            core.begin(SignalRequest { target, child_only, name, input: content }, core.scope(), site)
        })
    }
}

/// The content of a signal's command.
fn content(
    args: Result<Vec<raw::Payload>, EncodeError>,
    headers: Headers,
    workflow_id: &str,
    name: &str,
    site: &Location<'_>,
) -> (Vec<raw::Payload>, Option<raw::Header>) {
    match args {
        Ok(args) => (args, headers.into_wire()),
        Err(error) => panic!("signal `{name}` to workflow `{workflow_id}`, sent at {site}: {error}"),
    }
}

impl Future for CancelSent {
    type Output = Result<(), WorkflowError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let site = self.site;
        self.state
            .poll("a request to cancel another workflow", cx, |core, request| core.begin(request, core.scope(), site))
    }
}

impl<R> State<R> {
    /// Sends the message at the first poll, by `begin`, and waits until the server has delivered it.
    fn poll(
        &mut self,
        what: &str,
        cx: &mut Context<'_>,
        begin: impl FnOnce(&Core, R) -> OperationId,
    ) -> Poll<Result<(), WorkflowError>> {
        if let Self::New(_) = self {
            let core = current(what, "elsewhere take the handle from a client");
            let message = std::mem::replace(self, Self::Done);
            if core.take_cancellation(core.scope()) {
                return Poll::Ready(Err(Cancelled.into()));
            }
            let Self::New(message) = message else { unreachable!() };
            let operation = begin(&core, message);
            *self = Self::Sent(Pending::new(core, operation, OnDrop::Detach));
        }
        let Self::Sent(pending) = self else { panic!("a message to another workflow was polled after it ended") };
        let Poll::Ready(outcome) = pending.poll(cx.waker()) else { return Poll::Pending };
        *self = Self::Done;
        Poll::Ready(match outcome {
            Outcome::Ready => Ok(()),
            Outcome::Returned(Err(failure)) => Err((*failure).into()),
            Outcome::Returned(Ok(_)) | Outcome::Started { .. } | Outcome::Cancelled => Err(Cancelled.into()),
        })
    }
}
