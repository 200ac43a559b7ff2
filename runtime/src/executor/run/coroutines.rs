//! Coroutines: the order of their polls, and their outputs.

use std::task::{Context, Poll};

use everloop_proto::temporal::api::protocol::v1::Message;

use super::{Run, teardown};
use crate::data::UnfinishedPolicy;
use crate::errors::WorkflowError;
use crate::executor::coroutine::Output;
use crate::executor::end::End;
use crate::executor::error::TaskFailure;
use crate::executor::issued::Issued;
use crate::executor::panic::catch;
use crate::executor::rules::Rule;
use crate::executor::scope::Scopes;
use crate::executor::update::{self, UpdateCommand};
use crate::raw;

impl Run {
    /// Polls in wake order until no coroutine is ready, then evaluates the conditions. Repeats this until no condition is met.
    pub(super) fn settle(&mut self) -> Result<(), TaskFailure> {
        self.core.take_conditions_met();
        loop {
            while let Some(id) = self.core.ready.pop() {
                self.poll(id)?;
            }
            // Each condition is evaluated by its own coroutine; they are queued in order of registration.
            if !self.core.wake_conditions() {
                break;
            }
            while let Some(id) = self.core.ready.pop() {
                self.poll(id)?;
            }
            if self.core.take_conditions_met() == 0 {
                break;
            }
        }
        self.check_wakes()
    }

    pub(super) fn poll(&mut self, id: u64) -> Result<(), TaskFailure> {
        let Some(coroutine) = self.coroutines.get_mut(&id) else { return Ok(()) };
        coroutine.about_to_poll();
        self.core.set_scope(coroutine.scope);
        self.core.set_message(coroutine.message.clone());
        let polled = catch(|| coroutine.future.as_mut().poll(&mut Context::from_waker(&coroutine.waker)));
        self.adopt_spawned();
        if let Some(ended) = self.core.take_ended() {
            self.set_terminal(|| ended);
            // A handler that ends the run has done its work.
            if let Some(handler) = self.handlers.get_mut(&id) {
                handler.unfinished = UnfinishedPolicy::Abandon;
            }
        }
        match polled.map_err(TaskFailure::Panic)? {
            Poll::Pending => Ok(()),
            Poll::Ready(output) => {
                if let Some(coroutine) = self.coroutines.remove(&id) {
                    catch(|| drop(coroutine.future)).map_err(TaskFailure::Panic)?;
                    let stays = self.core.scope_leaves_children(coroutine.scope) && self.holds(Rule::EndedScopesStay);
                    self.core.end_scope(coroutine.scope, stays);
                }
                if self.handlers.remove(&id).is_some() {
                    self.core.handler_ended();
                }
                self.finish(output);
                Ok(())
            }
        }
    }

    pub(super) fn holds(&mut self, rule: Rule) -> bool {
        self.rules.holds(rule, self.core.is_replaying())
    }

    pub(super) fn adopt_spawned(&mut self) {
        self.coroutines.extend(self.core.take_spawned());
    }

    fn finish(&mut self, output: Output) {
        match output {
            Output::Spawned | Output::Signal(Ok(())) => {}
            Output::Run(Ok(result)) => self.set_terminal(|| End::complete(result)),
            Output::Run(Err(error)) if error.is_cancelled() && self.core.is_cancelled(Scopes::ROOT) => {
                self.set_terminal(|| End::cancel(error));
            }
            Output::Run(Err(error)) | Output::Signal(Err(error)) => self.set_terminal(|| End::fail(error)),
            Output::Update { update_id, result } => self.complete_update(&update_id, result),
        }
    }

    pub(super) fn complete_update(&mut self, update_id: &str, result: Result<raw::Payload, WorkflowError>) {
        self.push_message(UpdateCommand::Complete { update_id: update_id.to_owned() }, || {
            update::response(update_id, result.map_err(WorkflowError::into_failure))
        });
    }

    /// Sends a message, and issues the command for its place among the other commands.
    pub(super) fn push_message(&mut self, command: UpdateCommand, message: impl FnOnce() -> Message) {
        self.send(message);
        self.core.issue(command.into());
    }

    /// Adds a message to the completion of the live task.
    pub(super) fn send(&mut self, message: impl FnOnce() -> Message) {
        if let Some(task) = self.phase.live_task() {
            task.messages.push(message());
        }
    }

    /// Adds a warning to the completion of the live task.
    pub(super) fn warn(&mut self, warning: impl FnOnce() -> String) {
        if let Some(task) = self.phase.live_task() {
            task.warnings.push(warning());
        }
    }

    fn set_terminal<I: Into<Issued>>(&mut self, terminal: impl FnOnce() -> I) {
        if let Some(place) = self.phase.terminal() {
            place.get_or_insert_with(|| terminal().into());
        }
    }

    /// Closes the run if a terminal command was set. The command is the last one, and no code runs after it.
    pub(super) fn end_if_returned(&mut self) {
        let Some(terminal) = self.phase.terminal().and_then(Option::take) else { return };
        self.core.issue(terminal);
        let unfinished = self.handlers.values().filter(|handler| handler.unfinished == UnfinishedPolicy::Warn);
        let unfinished: Vec<String> = unfinished.map(|handler| handler.description.clone()).collect();
        for handler in unfinished {
            self.warn(|| {
                format!(
                    "the workflow ended while {handler} was still running, and its work is lost: wait for \
                     `workflow::all_handlers_finished()` before that, or mark it `unfinished_policy = abandon`"
                )
            });
        }
        for panic in self.tear_down() {
            self.warn(|| teardown::panicked_in_drop(&panic));
        }
    }

    pub(super) fn check_wakes(&self) -> Result<(), TaskFailure> {
        self.core.ready.illegal_wake().map_or(Ok(()), |text| Err(TaskFailure::Waker(text)))
    }
}
