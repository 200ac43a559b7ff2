//! The handlers of a workflow, by name.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::message::Message;
use crate::data::{DecodeError, UnfinishedPolicy};
use crate::errors::WorkflowError;
use crate::executor::LocalFuture;
use crate::raw;

type Validator<W, A> = fn(&W, &A) -> Result<(), WorkflowError>;
type Validate<W> = dyn Fn(&Rc<W>, Inputs<'_>) -> Result<(), WorkflowError> + Send + Sync;
type Handler<W, A, O> = fn(Rc<W>, A) -> LocalFuture<Result<O, WorkflowError>>;
type Inputs<'a> = &'a [raw::Payload];
type StartHandler<W, T> = Box<dyn Fn(&Rc<W>, Inputs<'_>) -> Running<T> + Send + Sync>;
type Running<T> = Result<LocalFuture<Result<T, WorkflowError>>, DecodeError>;

pub(crate) struct SignalHandler<W> {
    pub(crate) unfinished: UnfinishedPolicy,
    pub(crate) start: StartHandler<W, ()>,
}

pub(crate) struct UpdateHandler<W> {
    pub(crate) unfinished: UnfinishedPolicy,
    /// Arguments that do not decode reject the update, as the validator does.
    pub(crate) validate: Box<Validate<W>>,
    pub(crate) start: StartHandler<W, raw::Payload>,
}

type QueryHandler<W> = Box<dyn Fn(&Rc<W>, Inputs<'_>) -> Result<raw::Payload, WorkflowError> + Send + Sync>;

/// The handlers of a workflow's messages. The expansion adds one line for each.
pub struct Handlers<W> {
    pub(crate) signals: BTreeMap<&'static str, SignalHandler<W>>,
    pub(crate) queries: BTreeMap<&'static str, QueryHandler<W>>,
    pub(crate) updates: BTreeMap<&'static str, UpdateHandler<W>>,
}

impl<W: 'static> Handlers<W> {
    pub(crate) fn new() -> Self {
        Self { signals: BTreeMap::new(), queries: BTreeMap::new(), updates: BTreeMap::new() }
    }

    /// Adds a signal.
    pub fn signal<A: 'static>(
        &mut self,
        message: Message<A, ()>,
        unfinished: UnfinishedPolicy,
        handler: Handler<W, A, ()>,
    ) {
        let arguments = message.arguments;
        let start = Box::new(move |workflow: &Rc<W>, inputs: Inputs<'_>| {
            arguments.decode(inputs).map(|args| handler(workflow.clone(), args))
        });
        self.signals.insert(message.name, SignalHandler { unfinished, start });
    }

    /// Adds a query.
    pub fn query<A: 'static, O: 'static>(
        &mut self,
        message: Message<A, O>,
        handler: fn(Rc<W>, A) -> Result<O, WorkflowError>,
    ) {
        let Message { name, arguments, output } = message;
        let answer = Box::new(move |workflow: &Rc<W>, inputs: Inputs<'_>| {
            let args = arguments.decode(inputs)?;
            let answer = handler(workflow.clone(), args)?;
            Ok((output.encode)(&answer).map_err(|error| error.of(format!("the answer of query `{name}`")))?)
        });
        self.queries.insert(name, answer);
    }

    /// Adds an update, with its validator if it has one.
    pub fn update<A: 'static, O: 'static>(
        &mut self,
        message: Message<A, O>,
        unfinished: UnfinishedPolicy,
        validator: Option<Validator<W, A>>,
        handler: Handler<W, A, O>,
    ) {
        let Message { name, arguments, output } = message;
        let validate = Box::new(move |workflow: &Rc<W>, inputs: Inputs<'_>| {
            let args = arguments.decode(inputs)?;
            validator.map_or(Ok(()), |validator| validator(workflow, &args))
        });
        let start = Box::new(move |workflow: &Rc<W>, inputs: Inputs<'_>| {
            let running = handler(workflow.clone(), arguments.decode(inputs)?);
            let answer: LocalFuture<_> = Box::pin(async move {
                let answer = running.await?;
                Ok((output.encode)(&answer).map_err(|error| error.of(format!("the answer of update `{name}`")))?)
            });
            Ok(answer)
        });
        self.updates.insert(name, UpdateHandler { unfinished, validate, start });
    }
}
