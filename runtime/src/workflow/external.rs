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
use crate::executor::{CancelRequest, OnDrop, Outcome, Pending, SignalRequest, WorkflowOnly};
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
        if let State::New(_) = &self.state {
            let core = current("a signal to another workflow", "elsewhere take the handle from a client");
            if core.take_cancellation(core.scope()) {
                self.state = State::Done;
                return Poll::Ready(Err(Cancelled.into()));
            }
            let State::New((input, child_only)) = std::mem::replace(&mut self.state, State::Done) else {
                unreachable!()
            };
            let (target, name, args, headers) = input.into_parts();
            let site = self.site;
            let (to, signal) = (target.workflow_id.clone(), name.clone());
            let content = move || content(args, headers, &to, &signal, site);
            let request = SignalRequest { target, child_only, name, input: content };
            let operation = core.begin(request, core.scope(), self.site);
            self.state = State::Sent(Pending::new(core, operation, OnDrop::Detach));
        }
        poll_sent(&mut self.state, cx)
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
        if let State::New(_) = &self.state {
            let core = current("a request to cancel another workflow", "elsewhere take the handle from a client");
            if core.take_cancellation(core.scope()) {
                self.state = State::Done;
                return Poll::Ready(Err(Cancelled.into()));
            }
            let State::New(request) = std::mem::replace(&mut self.state, State::Done) else { unreachable!() };
            let operation = core.begin(request, core.scope(), self.site);
            self.state = State::Sent(Pending::new(core, operation, OnDrop::Detach));
        }
        poll_sent(&mut self.state, cx)
    }
}

fn poll_sent<R>(state: &mut State<R>, cx: &mut Context<'_>) -> Poll<Result<(), WorkflowError>> {
    let State::Sent(pending) = state else { panic!("a message to another workflow was polled after it ended") };
    let Poll::Ready(outcome) = pending.poll(cx.waker()) else { return Poll::Pending };
    *state = State::Done;
    Poll::Ready(match outcome {
        Outcome::Ready => Ok(()),
        Outcome::Returned(Err(failure)) => Err((*failure).into()),
        Outcome::Returned(Ok(_)) | Outcome::Started { .. } | Outcome::Cancelled => Err(Cancelled.into()),
    })
}
