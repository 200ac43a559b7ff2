//! Patches: changes of a workflow's code while runs of the old code are open.

use std::panic::Location;

use crate::executor::current::current;

/// Whether this run has the change `id` of the workflow's code: false in a run that had passed this place before the change
/// was deployed, true in all other runs.
///
/// A run replays its history with the current code. If the code issues other commands than those in history, the run's task
/// fails. `patched` keeps the old code for the old runs:
///
/// ```
/// use everloop::prelude::*;
///
/// # #[activity] fn reserve(order: String) -> ();
/// # #[activity] fn charge(order: String) -> ();
/// # #[activity] fn check_fraud(order: String) -> ();
/// #[workflow]
/// #[derive(Default)]
/// pub struct OrderFlow {}
///
/// #[workflow]
/// impl OrderFlow {
///     #[run]
///     async fn run(&self, order: String) -> WorkflowResult<()> {
///         reserve(order.clone()).await?;
///         if workflow::patched("check-fraud") {
///             check_fraud(order.clone()).await?;
///         }
///         charge(order).await?;
///         Ok(())
///     }
/// }
/// ```
///
/// The first call with an id decides for the whole run, and the history records the id. Lists of workflows can be filtered by
/// it: `TemporalChangeVersion = 'check-fraud'`. Each change needs its own id, which is never used for another change. All
/// workflow code can call this function: `run`, functions that it calls, handlers of signals and updates, and coroutines of
/// [`spawn`](super::spawn).
///
/// When no run of the old code is open any more, remove the old path, and replace `patched` by [`deprecate_patch`].
///
/// # Panics
/// Outside a workflow, in queries and validators, which may only read, and if the id is empty.
#[track_caller]
pub fn patched(id: &str) -> bool {
    let core = current("patched", "other code needs no versions: nothing replays it");
    core.has_patch(id, false, Location::caller())
}

/// Marks the change `id` as permanent: the code of the old path was removed. The call replaces that of [`patched`], without a
/// condition.
///
/// Runs that have the change replay with this call. When all open runs were started after `deprecate_patch` was deployed,
/// remove the call: such runs replay without it.
///
/// ```
/// use everloop::prelude::*;
///
/// # #[activity] fn reserve(order: String) -> ();
/// # #[activity] fn charge(order: String) -> ();
/// # #[activity] fn check_fraud(order: String) -> ();
/// # #[workflow]
/// # #[derive(Default)]
/// # pub struct OrderFlow {}
/// #
/// # #[workflow]
/// # impl OrderFlow {
/// #[run]
/// async fn run(&self, order: String) -> WorkflowResult<()> {
///     reserve(order.clone()).await?;
///     workflow::deprecate_patch("check-fraud");
///     check_fraud(order.clone()).await?;
///     charge(order).await?;
///     Ok(())
/// }
/// # }
/// ```
///
/// # Panics
/// Outside a workflow, in queries and validators, which may only read, and if the id is empty.
#[track_caller]
pub fn deprecate_patch(id: &str) {
    let core = current("deprecate_patch", "other code needs no versions: nothing replays it");
    core.has_patch(id, true, Location::caller());
}
