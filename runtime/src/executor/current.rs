//! The run whose code is being executed on this thread.

use std::cell::RefCell;
use std::panic::Location;

use super::core::SharedCore;
use super::scope::{ScopeId, Scopes};

/// The scope of operations that no cancellation reaches.
pub(crate) const NO_SCOPE: ScopeId = Scopes::NONE;

thread_local! {
    static CURRENT: RefCell<Option<SharedCore>> = const { RefCell::new(None) };
}

/// The current run, if workflow code is being executed on this thread.
pub(crate) fn try_current() -> Option<SharedCore> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// The current run.
///
/// # Panics
/// Outside a workflow; the message names the function to call instead.
#[track_caller]
pub(crate) fn current(called: &str, instead: &str) -> SharedCore {
    match try_current() {
        Some(core) => core,
        None => panic!("`{called}` is for workflows; {instead}"),
    }
}

/// Makes a run the current one until dropped.
pub(super) struct Entered(Option<SharedCore>);

pub(super) fn enter(core: &SharedCore) -> Entered {
    Entered(CURRENT.replace(Some(core.clone())))
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// Whether the current code on this thread runs for a task that history has completed already.
pub(crate) fn is_replaying() -> bool {
    try_current().is_some_and(|core| core.is_replaying())
}

/// Called before a `State` changes.
///
/// # Panics
/// In queries, validators and conditions, which may only read.
pub(crate) fn refuse_write(place: &'static Location<'static>) {
    let Some(core) = try_current() else { return };
    if let Some(reader) = core.read_only() {
        panic!("{reader} wrote to a `State` at {}:{}: it may only read", place.file(), place.line());
    }
    core.pass(place);
}
