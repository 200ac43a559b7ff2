//! Child workflows: `Requested -> Initiated -> Started -> Closed`. The outcome comes in two parts: the start, then the end.

use everloop_proto::temporal::api::command::v1::RequestCancelExternalWorkflowExecutionCommandAttributes;
use everloop_proto::temporal::api::command::v1::command::Attributes as CommandAttributes;
use everloop_proto::temporal::api::enums::v1::StartChildWorkflowExecutionFailedCause as Cause;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as EventAttributes;

use super::machine::{Cancel, Compared, Key};
use super::other_command::{Answer, OtherCommand};
use super::outcome::Outcome;
use crate::data::{ChildCancellationType, Failure, FailureKind, Payloads, RetryState, TimeoutType};
use crate::executor::call_site::CallSite;
use crate::raw;

#[derive(Debug)]
pub(crate) struct ChildOperation {
    workflow_type: &'static str,
    workflow_id: String,
    cancellation: ChildCancellationType,
    state: ChildState,
    cancel: CancelState,
    /// Empty until the child has started.
    run_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChildState {
    /// The command is queued; history does not have its event yet.
    Requested,
    Initiated,
    Started,
    Closed,
}

/// The request to cancel a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CancelState {
    None,
    /// The command is queued; history does not have its event yet.
    Asked,
    /// The server sends it.
    Sent,
    Answered,
}

/// A change of a child by an event.
pub(crate) enum ChildChange {
    Started {
        run_id: String,
    },
    NotStarted(Cause),
    Completed(Option<raw::Payload>),
    /// It ended otherwise: the cause, and the reason why there is no further attempt.
    Ended(Box<Failure>, RetryState),
}

impl ChildChange {
    /// Takes an event about a child, with the event that initiated the child.
    pub(super) fn read(event: EventAttributes) -> Result<(i64, Self), EventAttributes> {
        use EventAttributes as E;
        let ended = |cause: Failure, retry| Self::Ended(Box::new(cause), retry);
        Ok(match event {
            E::ChildWorkflowExecutionStartedEventAttributes(it) => {
                let run_id = it.workflow_execution.map(|execution| execution.run_id).unwrap_or_default();
                (it.initiated_event_id, Self::Started { run_id })
            }
            E::StartChildWorkflowExecutionFailedEventAttributes(it) => {
                (it.initiated_event_id, Self::NotStarted(it.cause()))
            }
            E::ChildWorkflowExecutionCompletedEventAttributes(it) => {
                let result = it.result.and_then(|result| result.payloads.into_iter().next());
                (it.initiated_event_id, Self::Completed(result))
            }
            E::ChildWorkflowExecutionFailedEventAttributes(it) => {
                let cause = Failure::from_wire(it.failure.unwrap_or_default());
                (it.initiated_event_id, ended(cause, RetryState::from_wire(it.retry_state)))
            }
            E::ChildWorkflowExecutionCanceledEventAttributes(it) => {
                let mut cause = Failure::cancelled("the child workflow was cancelled");
                cause.kind = FailureKind::Cancelled { details: Payloads::from_wire(it.details) };
                (it.initiated_event_id, ended(cause, RetryState::Unspecified))
            }
            E::ChildWorkflowExecutionTimedOutEventAttributes(it) => {
                let kind = FailureKind::Timeout {
                    timeout_type: TimeoutType::StartToClose,
                    last_heartbeat_details: Payloads::default(),
                };
                let cause = Failure::new("the child workflow timed out", kind);
                (it.initiated_event_id, ended(cause, RetryState::from_wire(it.retry_state)))
            }
            E::ChildWorkflowExecutionTerminatedEventAttributes(it) => {
                let cause = Failure::new("the child workflow was terminated", FailureKind::Terminated);
                (it.initiated_event_id, ended(cause, RetryState::Unspecified))
            }
            other => return Err(other),
        })
    }
}

impl ChildOperation {
    pub(super) fn new(workflow_type: &'static str, workflow_id: String, cancellation: ChildCancellationType) -> Self {
        Self {
            workflow_type,
            workflow_id,
            cancellation,
            state: ChildState::Requested,
            cancel: CancelState::None,
            run_id: String::new(),
        }
    }

    /// The inputs in an event and in the command that became it.
    pub(super) fn inputs<'a>(event: &'a EventAttributes, command: &'a CommandAttributes) -> Option<Compared<'a>> {
        match (event, command) {
            (
                EventAttributes::StartChildWorkflowExecutionInitiatedEventAttributes(event),
                CommandAttributes::StartChildWorkflowExecutionCommandAttributes(command),
            ) => Some(Compared { recorded: &event.input, issued: &command.input }),
            _ => None,
        }
    }

    pub(super) fn confirmed(&mut self, event_id: i64) -> Key {
        if self.state == ChildState::Requested {
            self.state = ChildState::Initiated;
        }
        Key::Event(event_id)
    }

    pub(super) fn cancel_confirmed(&mut self, event_id: i64) -> Key {
        self.cancel = CancelState::Sent;
        Key::Event(event_id)
    }

    pub(super) fn apply(&mut self, change: ChildChange) -> Result<Option<Outcome>, &'static str> {
        let state = self.state;
        let is_running = matches!(state, ChildState::Initiated | ChildState::Started);
        match change {
            ChildChange::Started { run_id } if state == ChildState::Initiated => {
                self.state = ChildState::Started;
                self.run_id.clone_from(&run_id);
                return Ok(Some(Outcome::Started { run_id }));
            }
            ChildChange::Started { .. } => return Err("a child workflow started twice, or before it was initiated"),
            ChildChange::NotStarted(_) if state != ChildState::Initiated => {
                return Err("a child workflow both started and did not");
            }
            _ if !is_running => return Err("a child workflow ended twice, or before it was initiated"),
            _ => {}
        }
        self.state = ChildState::Closed;
        if self.cancel == CancelState::Asked {
            // The command is withdrawn: nothing is left to cancel.
            self.cancel = CancelState::None;
        }
        let result = match change {
            ChildChange::Completed(result) => Ok(result),
            ChildChange::Ended(cause, retry) => Err(self.failure(*cause, retry)),
            ChildChange::NotStarted(cause) => {
                Err(self.failure(not_started(&self.workflow_id, cause), RetryState::NonRetryableFailure))
            }
            ChildChange::Started { .. } => return Ok(None),
        };
        Ok(Some(Outcome::Returned(result.map_err(Box::new))))
    }

    /// The server has carried out the request to cancel the child, or could not.
    pub(super) fn cancel_answered(&mut self, _: &Answer) -> Option<Outcome> {
        self.cancel = CancelState::Answered;
        let waits_for_it = self.cancellation == ChildCancellationType::WaitCancellationRequested;
        (waits_for_it && self.state != ChildState::Closed).then(|| self.cancelled())
    }

    pub(super) fn cancel(&mut self) -> Cancel<OtherCommand> {
        use ChildCancellationType as Type;
        match self.state {
            ChildState::Requested => {
                self.state = ChildState::Closed;
                return Cancel::Withdraw(self.cancelled());
            }
            ChildState::Closed => return Cancel::Nothing,
            ChildState::Initiated | ChildState::Started => {}
        }
        if self.cancellation == Type::Abandon {
            return Cancel::GoOn(self.cancelled());
        }
        if self.cancel != CancelState::None {
            return Cancel::Nothing;
        }
        self.cancel = CancelState::Asked;
        let attributes = RequestCancelExternalWorkflowExecutionCommandAttributes {
            workflow_id: self.workflow_id.clone(),
            child_workflow_only: true,
            reason: "the workflow cancelled its child".to_owned(),
            ..Default::default()
        };
        Cancel::Ask {
            command: OtherCommand::CancelChild { workflow_id: self.workflow_id.as_str().into() },
            attributes: CommandAttributes::RequestCancelExternalWorkflowExecutionCommandAttributes(attributes),
            outcome: (self.cancellation == Type::TryCancel).then(|| self.cancelled()),
        }
    }

    /// The end of the child and the result of the request to cancel it come in any order.
    pub(super) fn is_over(&self) -> bool {
        self.state == ChildState::Closed && !matches!(self.cancel, CancelState::Asked | CancelState::Sent)
    }

    pub(super) fn describe(&self, site: CallSite) -> String {
        format!("child workflow {} (id {}) at {site}", self.workflow_type, self.workflow_id)
    }

    fn cancelled(&self) -> Outcome {
        let cause = Failure::cancelled("cancelled by the workflow");
        Outcome::Returned(Err(Box::new(self.failure(cause, RetryState::CancelRequested))))
    }

    /// The failure of the child, around its cause.
    fn failure(&self, cause: Failure, retry_state: RetryState) -> Failure {
        let message = match &cause.kind {
            FailureKind::Cancelled { .. } => "the child workflow was cancelled",
            FailureKind::Timeout { .. } => "the child workflow timed out",
            FailureKind::Terminated => "the child workflow was terminated",
            _ if self.run_id.is_empty() => "the child workflow did not start",
            _ => "the child workflow failed",
        };
        let kind = FailureKind::ChildWorkflow {
            workflow_type: self.workflow_type.to_owned(),
            workflow_id: self.workflow_id.clone(),
            run_id: self.run_id.clone(),
            retry_state,
        };
        Failure::new(message, kind).caused_by(cause)
    }
}

/// The reason why a child did not start.
fn not_started(workflow_id: &str, cause: Cause) -> Failure {
    match cause {
        Cause::WorkflowAlreadyExists => Failure::application(
            "WorkflowAlreadyStarted",
            format!("the workflow id `{workflow_id}` is in use, or may not be used again"),
        ),
        Cause::NamespaceNotFound => Failure::application("NamespaceNotFound", "the namespace does not exist"),
        Cause::InvalidVersioningOverride => {
            Failure::application("InvalidVersioningOverride", "the worker version does not exist")
        }
        Cause::Unspecified => Failure::application("NotStarted", "the server names no reason"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(cancellation: ChildCancellationType) -> ChildOperation {
        ChildOperation::new("Child", "c".to_owned(), cancellation)
    }

    fn started(cancellation: ChildCancellationType) -> ChildOperation {
        let mut child = child(cancellation);
        child.confirmed(5);
        let outcome = child.apply(ChildChange::Started { run_id: "r".to_owned() }).unwrap();
        assert_eq!(outcome, Some(Outcome::Started { run_id: "r".to_owned() }));
        child
    }

    fn is_cancelled(outcome: Option<&Outcome>) -> bool {
        matches!(outcome, Some(Outcome::Returned(Err(failure))) if failure.is_cancelled())
    }

    #[test]
    fn a_child_starts_and_ends_once() {
        assert!(child(ChildCancellationType::default()).apply(ChildChange::Completed(None)).is_err());
        let mut child = started(ChildCancellationType::default());
        assert!(child.apply(ChildChange::Started { run_id: "r".to_owned() }).is_err());
        assert_eq!(child.apply(ChildChange::Completed(None)).unwrap(), Some(Outcome::Returned(Ok(None))));
        assert!(child.is_over() && child.apply(ChildChange::Completed(None)).is_err());
        assert_eq!(child.cancel(), Cancel::Nothing);
    }

    #[test]
    fn each_cancellation_type_has_its_moment() {
        use ChildCancellationType as Type;
        let mut requested = child(Type::WaitCancellationCompleted);
        assert!(matches!(requested.cancel(), Cancel::Withdraw(outcome) if is_cancelled(Some(&outcome))));

        let mut abandoned = started(Type::Abandon);
        assert!(matches!(abandoned.cancel(), Cancel::GoOn(outcome) if is_cancelled(Some(&outcome))));

        for (cancellation, at_once, when_requested) in [
            (Type::TryCancel, true, false),
            (Type::WaitCancellationRequested, false, true),
            (Type::WaitCancellationCompleted, false, false),
        ] {
            let mut child = started(cancellation);
            let Cancel::Ask { command, outcome, .. } = child.cancel() else { panic!("the server runs the child") };
            assert_eq!(command.to_string(), "RequestCancelChildWorkflow(c)");
            assert_eq!(is_cancelled(outcome.as_ref()), at_once, "{cancellation:?}");
            assert_eq!(child.cancel(), Cancel::Nothing, "it is asked once");
            child.cancel_confirmed(9);
            let outcome = child.cancel_answered(&Ok(()));
            assert_eq!(is_cancelled(outcome.as_ref()), when_requested, "{cancellation:?}");
        }
    }

    #[test]
    fn a_child_stays_known_until_its_cancel_request_is_answered() {
        let mut child = started(ChildCancellationType::WaitCancellationCompleted);
        child.cancel();
        child.cancel_confirmed(9);
        child.apply(ChildChange::Completed(None)).unwrap();
        assert!(!child.is_over());
        assert_eq!(child.cancel_answered(&Ok(())), None);
        assert!(child.is_over());
    }
}
