//! Signals and cancel requests to other workflows: `Requested -> Sent -> Answered`.

use super::machine::{Cancel, Key};
use super::other_command::{Answer, OtherCommand};
use super::outcome::Outcome;
use crate::executor::call_site::CallSite;

#[derive(Debug)]
pub(crate) struct ExternalOperation {
    what: String,
    state: ExternalState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExternalState {
    /// The command is queued; history does not have its event yet.
    Requested,
    Sent,
    Answered,
}

impl ExternalOperation {
    pub(super) fn new(what: String) -> Self {
        Self { what, state: ExternalState::Requested }
    }

    pub(super) fn confirmed(&mut self, event_id: i64) -> Key {
        self.state = ExternalState::Sent;
        Key::Event(event_id)
    }

    pub(super) fn answered(&mut self, answer: Answer) -> Result<Option<Outcome>, &'static str> {
        if self.state != ExternalState::Sent {
            return Err("a message to another workflow was answered twice, or before it was sent");
        }
        self.state = ExternalState::Answered;
        Ok(Some(match answer {
            Ok(()) => Outcome::Ready,
            Err(failure) => Outcome::Returned(Err(failure)),
        }))
    }

    /// A message that has left cannot be taken back; the workflow goes on.
    pub(super) fn cancel(&mut self) -> Cancel<OtherCommand> {
        match self.state {
            ExternalState::Requested => {
                self.state = ExternalState::Answered;
                Cancel::Withdraw(Outcome::Cancelled)
            }
            ExternalState::Sent => Cancel::GoOn(Outcome::Cancelled),
            ExternalState::Answered => Cancel::Nothing,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == ExternalState::Answered
    }

    pub(super) fn describe(&self, site: CallSite) -> String {
        format!("{} at {site}", self.what)
    }
}
