//! Patches that workflow code asks for.

use std::panic::Location;

use everloop_proto::temporal::api::history::v1::HistoryEvent;

use super::{Access, Core};
use crate::executor::command::CommandKind;
use crate::executor::error::ReplayError;
use crate::executor::issued::Issued;
use crate::executor::patches::PatchCommand;

impl Core {
    /// Whether the run has a patch. The first live call that asks gives it to the run, and records that.
    ///
    /// # Panics
    /// In queries, validators and conditions, and if the id is empty.
    #[track_caller]
    pub(crate) fn has_patch(&self, id: &str, deprecated: bool, site: &'static Location<'static>) -> bool {
        let function = if deprecated { "deprecate_patch" } else { "patched" };
        assert!(!id.is_empty(), "`{function}` needs the id of a patch, found an empty text");
        self.refuse_reader(&format!("calls `{function}`"));
        self.pass(site);
        let mut inner = self.inner.borrow_mut();
        if inner.access == Access::TornDown {
            return false;
        }
        let replaying = inner.replaying;
        let answer = inner.patches.ask(id, deprecated, replaying);
        inner.warnings.extend(answer.warning);
        for (command, attributes) in answer.commands {
            inner.issue(Issued::new(CommandKind::Patch(command), site.into(), Some(attributes)));
        }
        answer.has
    }

    /// Takes the patches that a task recorded, before it is replayed.
    pub(in crate::executor) fn foresee_patches(&self, outputs: &[HistoryEvent]) {
        self.inner.borrow_mut().patches.foresee(outputs);
    }

    /// History has the event of a patch's command.
    pub(in crate::executor) fn confirm_patch(&self, event_id: i64, command: &PatchCommand) -> Result<(), ReplayError> {
        match self.inner.borrow().patches.missing(command) {
            Some(id) => Err(ReplayError::PatchMissing { event_id, id: id.to_owned() }),
            None => Ok(()),
        }
    }

    pub(in crate::executor) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.borrow_mut().warnings)
    }
}
