//! Patches: changes of a workflow's code while runs of the old code are open.

use std::panic::Location;

use crate::executor::current::current;

/// Whether this run has the change `id` of the workflow's code: false in a run that had passed this place before the change
/// was deployed, true in every other.
///
/// A run replays its history with the code as it is now. Code that asks for something else than history has, fails the
/// run's task. `patched` keeps the old code for the old runs:
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
/// The first call with an id decides for the whole run, and records it in the history; lists of workflows can be filtered by it:
/// `TemporalChangeVersion = 'check-fraud'`. An id stands for one change, and is never used for another one. It may be asked
/// for wherever workflow code runs: in `run`, in functions that it calls, in handlers of signals and updates, and in what
/// [`spawn`](super::spawn) started.
///
/// When no run of the old code is open any more, the old path can go, and [`deprecate_patch`] takes the place of `patched`.
///
/// # Panics
/// Outside a workflow, in queries and validators, which may only read, and if the id is empty.
#[track_caller]
pub fn patched(id: &str) -> bool {
    let core = current("patched", "other code needs no versions: nothing replays it");
    core.has_patch(id, false, Location::caller())
}

/// Says that all code is that of the change `id`: stands where [`patched`] was, without a condition, after the old path is gone.
///
/// Runs that have the change replay with it, and so does code without it later: once no run is open any more that was started
/// before `deprecate_patch` was deployed, remove the call.
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
