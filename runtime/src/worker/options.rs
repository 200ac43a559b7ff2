//! The options of a worker.

use std::time::Duration;

use crate::data::WorkerActivityOptions;

/// The options of a worker. The builder's methods document each of them.
#[derive(Debug, Clone)]
pub(super) struct WorkerOptions {
    pub(super) max_cached_workflows: usize,
    pub(super) workflow_threads: usize,
    pub(super) max_workflow_tasks: usize,
    pub(super) max_activities: usize,
    pub(super) max_local_activities: usize,
    /// Whether local activities wait between attempts by timers of their workflows, however short the wait is.
    pub(super) backoffs_are_timers: bool,
    pub(super) max_blocking_activities: usize,
    pub(super) max_activities_per_second: Option<f64>,
    pub(super) workflow_pollers: usize,
    pub(super) activity_pollers: usize,
    pub(super) deadlock_timeout: Option<Duration>,
    pub(super) graceful_shutdown_timeout: Duration,
    pub(super) eager_activities: bool,
    pub(super) activity_options: WorkerActivityOptions,
    /// The idle time after which the worker checks whether the server has ended a cached run.
    pub(super) idle_check: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            max_cached_workflows: 1000,
            // More threads would mostly sleep and wake: engine, client and activities need cores as well.
            workflow_threads: std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
            max_workflow_tasks: 100,
            max_activities: 100,
            max_local_activities: 100,
            backoffs_are_timers: false,
            max_blocking_activities: 100,
            max_activities_per_second: None,
            workflow_pollers: 4,
            activity_pollers: 4,
            deadlock_timeout: (!is_debugged()).then_some(Duration::from_secs(2)),
            graceful_shutdown_timeout: Duration::ZERO,
            eager_activities: true,
            activity_options: WorkerActivityOptions::default(),
            idle_check: Duration::from_secs(60),
        }
    }
}

/// Whether a debugger is attached to this process: a workflow that it stops is not deadlocked.
fn is_debugged() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")))
}
