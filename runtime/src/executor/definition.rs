//! Workflow types behind pointers: what the executor needs of user code.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use super::current::is_replaying;
use crate::data::DecodeError;
use crate::errors::WorkflowError;
use crate::raw;
use crate::tasks::LocalFuture;
use crate::workflow::{Handlers, UnfinishedPolicy, Workflow};

/// A workflow type.
pub(crate) trait Definition: Send + Sync {
    fn name(&self) -> &'static str;
    /// Makes the workflow's state, as `#[init]` or `Default` does.
    fn instantiate(&self, input: &[raw::Payload]) -> Result<Rc<dyn Instance>, DecodeError>;
}

/// One workflow's state with its methods.
pub(crate) trait Instance {
    fn run(&self, input: &[raw::Payload]) -> Result<LocalFuture<Result<raw::Payload, WorkflowError>>, DecodeError>;
    /// `None` if there is no such signal.
    fn signal(&self, name: &str, input: &[raw::Payload]) -> Option<Started<()>>;
    /// `None` if there is no such query.
    fn query(&self, name: &str, input: &[raw::Payload]) -> Option<Result<raw::Payload, WorkflowError>>;
    /// `None` if there is no such update.
    fn validate(&self, name: &str, input: &[raw::Payload]) -> Option<Result<(), WorkflowError>>;
    /// `None` if there is no such update.
    fn update(&self, name: &str, input: &[raw::Payload]) -> Option<Started<raw::Payload>>;
    fn signal_names(&self) -> Vec<&'static str>;
    fn query_names(&self) -> Vec<&'static str>;
    fn update_names(&self) -> Vec<&'static str>;
    /// The `Rc` of the user's type.
    fn workflow(&self) -> Rc<dyn Any>;
}

/// A handler that was started, and what to make of it if the workflow ends first.
pub(crate) type Started<T> = Result<(LocalFuture<Result<T, WorkflowError>>, UnfinishedPolicy), DecodeError>;

/// A workflow type with its handlers, made once for each worker.
pub(crate) struct TypedDefinition<W>(Arc<Handlers<W>>);

impl<W: Workflow> TypedDefinition<W> {
    pub(crate) fn new() -> Self {
        let mut handlers = Handlers::new();
        W::handlers(&mut handlers);
        Self(Arc::new(handlers))
    }
}

impl<W: Workflow> Definition for TypedDefinition<W> {
    fn name(&self) -> &'static str {
        W::NAME
    }

    fn instantiate(&self, input: &[raw::Payload]) -> Result<Rc<dyn Instance>, DecodeError> {
        Ok(Rc::new(Bound { workflow: Rc::new(W::new(input)?), handlers: self.0.clone() }))
    }
}

/// A workflow's state and its type's handlers.
pub(crate) struct Bound<W> {
    workflow: Rc<W>,
    handlers: Arc<Handlers<W>>,
}

impl<W: Workflow> Instance for Bound<W> {
    fn run(&self, input: &[raw::Payload]) -> Result<LocalFuture<Result<raw::Payload, WorkflowError>>, DecodeError> {
        let running = W::execute_workflow(self.workflow.clone(), W::ARGUMENTS.decode(input)?);
        Ok(Box::pin(async move {
            match (W::OUTPUT.encode)(&running.await?) {
                Ok(result) => Ok(result),
                // History has the result already, and what it was is not compared.
                Err(_) if is_replaying() => Ok(raw::Payload::default()),
                // As a panic it fails the task and not the workflow, so that code can be deployed that returns something else.
                Err(error) => panic!("{}", error.of(format!("the result of workflow `{}`", W::NAME))),
            }
        }))
    }

    fn signal(&self, name: &str, input: &[raw::Payload]) -> Option<Started<()>> {
        let handler = self.handlers.signals.get(name)?;
        Some((handler.start)(&self.workflow, input).map(|running| (running, handler.unfinished)))
    }

    fn query(&self, name: &str, input: &[raw::Payload]) -> Option<Result<raw::Payload, WorkflowError>> {
        self.handlers.queries.get(name).map(|answer| answer(&self.workflow, input))
    }

    fn validate(&self, name: &str, input: &[raw::Payload]) -> Option<Result<(), WorkflowError>> {
        self.handlers.updates.get(name).map(|handler| (handler.validate)(&self.workflow, input))
    }

    fn update(&self, name: &str, input: &[raw::Payload]) -> Option<Started<raw::Payload>> {
        let handler = self.handlers.updates.get(name)?;
        Some((handler.start)(&self.workflow, input).map(|running| (running, handler.unfinished)))
    }

    fn signal_names(&self) -> Vec<&'static str> {
        self.handlers.signals.keys().copied().collect()
    }

    fn query_names(&self) -> Vec<&'static str> {
        self.handlers.queries.keys().copied().collect()
    }

    fn update_names(&self) -> Vec<&'static str> {
        self.handlers.updates.keys().copied().collect()
    }

    fn workflow(&self) -> Rc<dyn Any> {
        self.workflow.clone()
    }
}
