//! Workflow types and their handlers in the form that the executor runs.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use crate::data::{DecodeError, Headers};
use crate::errors::WorkflowError;
use crate::executor::current::is_replaying;
use crate::executor::{Definition, Instance, LocalFuture, Started};
use crate::raw;
use crate::workflow::{Handlers, Workflow};

/// A workflow type with its handlers, created once for each worker.
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
    fn run(
        &self,
        input: &[raw::Payload],
        _: &Headers,
    ) -> Result<LocalFuture<Result<raw::Payload, WorkflowError>>, DecodeError> {
        let running = W::execute_workflow(self.workflow.clone(), W::ARGUMENTS.decode(input)?);
        Ok(Box::pin(async move {
            match (W::OUTPUT.encode)(&running.await?) {
                Ok(result) => Ok(result),
                // The history has the result, and replay does not compare results.
                Err(_) if is_replaying() => Ok(raw::Payload::default()),
                // A panic fails the task and not the workflow, so that a version with another result can be deployed.
                Err(error) => panic!("{}", error.of(format!("the result of workflow `{}`", W::NAME))),
            }
        }))
    }

    fn signal(&self, name: &str, input: &[raw::Payload], _: &Headers) -> Option<Started<()>> {
        let handler = self.handlers.signals.get(name)?;
        Some((handler.start)(&self.workflow, input).map(|running| (running, handler.unfinished)))
    }

    fn query(&self, name: &str, input: &[raw::Payload], _: &Headers) -> Option<Result<raw::Payload, WorkflowError>> {
        self.handlers.queries.get(name).map(|answer| answer(&self.workflow, input))
    }

    fn validate(&self, name: &str, input: &[raw::Payload], _: &Headers) -> Option<Result<(), WorkflowError>> {
        self.handlers.updates.get(name).map(|handler| (handler.validate)(&self.workflow, input))
    }

    fn update(&self, name: &str, input: &[raw::Payload], _: &Headers) -> Option<Started<raw::Payload>> {
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
