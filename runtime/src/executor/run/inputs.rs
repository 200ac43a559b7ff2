//! Inputs that run user code: the start, signals and updates.

use std::rc::Rc;
use std::time::SystemTime;

use everloop_proto::temporal::api::history::v1::WorkflowExecutionStartedEventAttributes;

use super::{Run, RunOptions, RunningHandler, listed, panic_failure};
use crate::data::{Failure, Headers, UnfinishedPolicy};
use crate::executor::coroutine::{LocalFuture, Output};
use crate::executor::error::{ReplayError, TaskFailure};
use crate::executor::info::WorkflowInfo;
use crate::executor::panic::catch;
use crate::executor::scope::Scopes;
use crate::executor::update::{Update, UpdateCommand};
use crate::raw;

impl Run {
    pub(super) fn start(
        &mut self,
        time: Option<SystemTime>,
        started: &WorkflowExecutionStartedEventAttributes,
    ) -> Result<(), TaskFailure> {
        let time = time.unwrap_or_else(|| self.core.now());
        let RunOptions { namespace, workflow_id, run_id, .. } = &self.options;
        let info = WorkflowInfo::new(namespace, workflow_id, run_id, time, started);
        // Up to the reset, a reset run has the numbers of the run from which it was copied.
        if !started.original_execution_run_id.is_empty() {
            self.core.reseed(&started.original_execution_run_id);
        }
        self.core.set_info(info);
        let input = started.input.as_ref().map(|input| input.payloads.as_slice()).unwrap_or_default();
        let misfit = |cause| TaskFailure::Input { workflow_type: self.definition.name(), cause };
        let instance = catch(|| self.definition.instantiate(input)).map_err(TaskFailure::Panic)?.map_err(misfit)?;
        self.core.set_workflow(instance.workflow());
        let headers = Rc::new(Headers::from_wire(started.header.clone()));
        let running = catch(|| instance.run(input, &headers)).map_err(TaskFailure::Panic)?.map_err(misfit)?;
        self.instance = Some(instance);
        self.core.set_message(headers);
        self.core.spawn(Box::pin(async move { Output::Run(running.await) }), Scopes::ROOT);
        self.adopt_spawned();
        Ok(())
    }

    pub(super) fn signal(&mut self, name: &str, input: &[raw::Payload], headers: Headers) -> Result<(), TaskFailure> {
        let Some(instance) = self.instance.clone() else { return Ok(()) };
        if self.core.is_torn_down() {
            return Ok(());
        }
        match catch(|| instance.signal(name, input, &headers)).map_err(TaskFailure::Panic)? {
            Some(Ok((running, unfinished))) => {
                let future = Box::pin(async move { Output::Signal(running.await) });
                self.run_handler(future, format!("the signal `{name}`"), unfinished, headers)
            }
            Some(Err(cause)) => {
                self.warn(|| format!("the signal `{name}` was passed over: {cause}; send it again with what fits"));
                Ok(())
            }
            None => {
                let known = listed(&instance.signal_names());
                self.warn(|| format!(
                    "there is no handler for the signal `{name}`; there are: {known}; it stays in the history, for code that has one"
                ));
                Ok(())
            }
        }
    }

    /// Validates a delivered update, without a change of the run.
    pub(super) fn validate(&self, update: &Update) -> Result<(), Box<Failure>> {
        let Some(instance) = &self.instance else {
            return Err(Failure::application("UpdateRejected", "the workflow has not started yet").into());
        };
        if self.core.is_torn_down() {
            return Err(Failure::application("UpdateRejected", "the workflow has ended").into());
        }
        let reader = format!("the validator of the update `{}`", update.name);
        match catch(|| self.core.reading(&reader, || instance.validate(&update.name, &update.input, &update.headers())))
        {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(error))) => Err(error.into_failure().into()),
            Ok(None) => {
                let known = listed(&instance.update_names());
                let message = format!("there is no update `{}`; there are: {known}", update.name);
                Err(Failure::application("UnknownUpdate", message).into())
            }
            Err(panic) => Err(panic_failure(panic).into()),
        }
    }

    /// Accepts an update and runs the first step of its handler. `recorded` is the event that accepted the update, on replay.
    pub(super) fn accept(&mut self, update: &Update, recorded: Option<i64>) -> Result<(), TaskFailure> {
        let Some(instance) = self.instance.clone() else { return Ok(()) };
        self.push_message(UpdateCommand::Accept { update_id: update.id.clone() }, || update.acceptance());
        let update_id = update.id.clone();
        let headers = update.headers();
        match catch(|| instance.update(&update.name, &update.input, &headers)).map_err(TaskFailure::Panic)? {
            Some(Ok((running, unfinished))) => {
                let future = Box::pin(async move { Output::Update { update_id, result: running.await } });
                self.run_handler(future, format!("the update `{}`", update.name), unfinished, headers)
            }
            Some(Err(cause)) => {
                self.complete_update(&update_id, Err(cause.into()));
                Ok(())
            }
            None => {
                let event_id = recorded.unwrap_or_default();
                Err(ReplayError::UpdateHandlerMissing { event_id, name: update.name.clone() }.into())
            }
        }
    }

    /// Runs a handler's first step at its turn among the inputs.
    fn run_handler(
        &mut self,
        future: LocalFuture<Output>,
        description: String,
        unfinished: UnfinishedPolicy,
        headers: Headers,
    ) -> Result<(), TaskFailure> {
        let scope = self.core.new_scope(None);
        let (id, coroutine) = self.core.coroutine(future, scope, Rc::new(headers));
        self.coroutines.insert(id, coroutine);
        self.handlers.insert(id, RunningHandler { description, unfinished });
        self.core.handler_started();
        self.poll(id)
    }
}
