//! Hooks around the workflows and activities of a worker.

use crate::activity::ActivityInfo;
use crate::data::{Failure, Headers};

/// Observes the calls of a worker's workflows and activities, and adds headers to the calls of workflows.
///
/// An interceptor runs outside workflow code, once for each real event and never for a replay, so it may read clocks and send
/// spans. The default of each method does nothing.
///
/// ```
/// use everloop::data::Headers;
/// use everloop::worker::{CallingWorkflow, WorkerInterceptor};
///
/// /// Passes the trace of a workflow to its activities.
/// struct Trace;
///
/// impl WorkerInterceptor for Trace {
///     fn activity_scheduled(&self, workflow: &CallingWorkflow<'_>, _activity_type: &str, headers: &mut Headers) {
///         if let Some(Ok(trace)) = workflow.headers.get::<String>("trace") {
///             headers.insert("trace", &trace).expect("text can be serialized");
///         }
///     }
/// }
/// ```
pub trait WorkerInterceptor: Send + Sync + 'static {
    /// Called before a workflow's first task is completed.
    fn workflow_started(&self, workflow: &CallingWorkflow<'_>) {
        let _ = workflow;
    }

    /// Called when a workflow has scheduled an activity, which receives `headers`.
    fn activity_scheduled(&self, workflow: &CallingWorkflow<'_>, activity_type: &str, headers: &mut Headers) {
        let _ = (workflow, activity_type, headers);
    }

    /// Called before an attempt of an activity begins.
    fn activity_started(&self, info: &ActivityInfo) {
        let _ = info;
    }

    /// Called when an attempt of an activity has ended; `failure` is `None` if it succeeded.
    fn activity_ended(&self, info: &ActivityInfo, failure: Option<&Failure>) {
        let _ = (info, failure);
    }
}

/// A workflow that this worker runs.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CallingWorkflow<'a> {
    /// The workflow's id.
    pub workflow_id: &'a str,
    /// The run.
    pub run_id: &'a str,
    /// The workflow type's name.
    pub workflow_type: &'a str,
    /// The headers of its start.
    pub headers: &'a Headers,
}
