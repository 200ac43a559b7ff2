//! Workflow types with interceptors around their code.

use std::any::Any;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use everloop_proto::temporal::api::command::v1::command::Attributes;

use super::interceptor::{InboundCall, InboundKind, NextHandler, NextQuery, SharedInterceptor};
use super::outgoing;
use crate::data::{DecodeError, Headers, Payloads, encode};
use crate::errors::WorkflowError;
use crate::executor::{Definition, Instance, LocalFuture, Started};
use crate::raw;

type Handled = LocalFuture<Result<raw::Payload, WorkflowError>>;

/// Puts interceptors around a workflow type.
pub(crate) fn intercepted(definition: Arc<dyn Definition>, interceptors: &[SharedInterceptor]) -> Arc<dyn Definition> {
    match interceptors.is_empty() {
        true => definition,
        false => Arc::new(Intercepted { definition, interceptors: interceptors.into() }),
    }
}

struct Intercepted {
    definition: Arc<dyn Definition>,
    interceptors: Arc<[SharedInterceptor]>,
}

impl Definition for Intercepted {
    fn name(&self) -> &'static str {
        self.definition.name()
    }

    fn instantiate(&self, input: &[raw::Payload]) -> Result<Rc<dyn Instance>, DecodeError> {
        let instance = self.definition.instantiate(input)?;
        Ok(Rc::new(InterceptedInstance { instance, name: self.name(), interceptors: self.interceptors.clone() }))
    }

    fn outgoing(&self, command: &mut Attributes, message: &Headers) {
        outgoing::show(command, message, |command| {
            self.interceptors.iter().for_each(|interceptor| interceptor.see_outgoing(command));
        });
    }

    fn sees_commands(&self) -> bool {
        true
    }
}

struct InterceptedInstance {
    instance: Rc<dyn Instance>,
    /// The name of the workflow type.
    name: &'static str,
    interceptors: Arc<[SharedInterceptor]>,
}

impl InterceptedInstance {
    /// Puts the interceptors around the future of a handler.
    fn around(
        &self,
        kind: InboundKind,
        name: &str,
        input: &[raw::Payload],
        headers: &Headers,
        handler: Handled,
    ) -> Handled {
        let interceptors = self.interceptors.clone();
        let (name, input, headers) = (name.to_owned(), Payloads::from(input.to_vec()), headers.clone());
        Box::pin(async move {
            let call = InboundCall { kind, name: &name, headers: &headers, input: &input };
            NextHandler::new(&interceptors, handler).run(call).await
        })
    }

    /// Puts the interceptors around code that only reads.
    fn read(
        &self,
        kind: InboundKind,
        name: &str,
        input: &[raw::Payload],
        headers: &Headers,
        handler: impl FnOnce() -> Result<raw::Payload, WorkflowError>,
    ) -> Result<raw::Payload, WorkflowError> {
        let input = Payloads::from(input.to_vec());
        let call = InboundCall { kind, name, headers, input: &input };
        NextQuery::new(&self.interceptors, handler).run(call)
    }
}

impl Instance for InterceptedInstance {
    fn run(&self, input: &[raw::Payload], headers: &Headers) -> Result<Handled, DecodeError> {
        let running = self.instance.run(input, headers)?;
        Ok(self.around(InboundKind::Run, self.name, input, headers, running))
    }

    fn signal(&self, name: &str, input: &[raw::Payload], headers: &Headers) -> Option<Started<()>> {
        let started = self.instance.signal(name, input, headers)?;
        Some(started.map(|(running, unfinished)| {
            let handler: Handled = Box::pin(async move {
                running.await?;
                Ok(encode(&())?)
            });
            let handler = self.around(InboundKind::Signal, name, input, headers, handler);
            let handler: LocalFuture<_> = Box::pin(async move { handler.await.map(drop) });
            (handler, unfinished)
        }))
    }

    fn query(
        &self,
        name: &str,
        input: &[raw::Payload],
        headers: &Headers,
    ) -> Option<Result<raw::Payload, WorkflowError>> {
        let is_unknown = Cell::new(false);
        let handler = || {
            self.instance.query(name, input, headers).unwrap_or_else(|| {
                is_unknown.set(true);
                Err(WorkflowError::new(format!("there is no query `{name}`")))
            })
        };
        let answer = self.read(InboundKind::Query, name, input, headers, handler);
        (!is_unknown.get()).then_some(answer)
    }

    fn validate(&self, name: &str, input: &[raw::Payload], headers: &Headers) -> Option<Result<(), WorkflowError>> {
        let is_unknown = Cell::new(false);
        let handler = || {
            self.instance.validate(name, input, headers).unwrap_or_else(|| {
                is_unknown.set(true);
                Err(WorkflowError::new(format!("there is no update `{name}`")))
            })?;
            Ok(encode(&())?)
        };
        let answer = self.read(InboundKind::Validator, name, input, headers, handler);
        (!is_unknown.get()).then_some(answer.map(drop))
    }

    fn update(&self, name: &str, input: &[raw::Payload], headers: &Headers) -> Option<Started<raw::Payload>> {
        let started = self.instance.update(name, input, headers)?;
        Some(
            started.map(|(running, unfinished)| {
                (self.around(InboundKind::Update, name, input, headers, running), unfinished)
            }),
        )
    }

    fn signal_names(&self) -> Vec<&'static str> {
        self.instance.signal_names()
    }

    fn query_names(&self) -> Vec<&'static str> {
        self.instance.query_names()
    }

    fn update_names(&self) -> Vec<&'static str> {
        self.instance.update_names()
    }

    fn workflow(&self) -> Rc<dyn Any> {
        self.instance.workflow()
    }
}
