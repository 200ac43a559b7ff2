//! The removal of a run from memory, after its workflow has ended or when it is evicted.

use super::{Run, RunOptions};
use crate::executor::current;
use crate::executor::panic::{Panic, discard};

impl Run {
    /// Drops every coroutine. Their destructors have no effect on the run. Returns the panics of destructors, which are harmless
    /// because the run is over.
    pub(super) fn tear_down(&mut self) -> Vec<Panic> {
        let _entered = current::enter(&self.core);
        self.core.tear_down();
        self.adopt_spawned();
        let coroutines = std::mem::take(&mut self.coroutines).into_values();
        let panics = coroutines.filter_map(|coroutine| discard(coroutine.future).err()).collect();
        self.handlers.clear();
        panics
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut panics = self.tear_down();
        {
            let _entered = current::enter(&self.core);
            panics.extend(discard(self.instance.take()).err());
            panics.extend(discard(self.core.take_workflow()).err());
            panics.extend(discard(self.core.take_operations()).err());
        }
        let RunOptions { workflow_id, run_id, .. } = &self.options;
        for panic in panics {
            tracing::warn!(workflow_id, run_id, "{}", panicked_in_drop(&panic));
        }
    }
}

pub(super) fn panicked_in_drop(panic: &Panic) -> String {
    format!("a destructor {panic}; the worker goes on, and so does the workflow, but the destructor's work is not done")
}
