//! The hook around what a worker runs: headers out, headers in.

use crate::activity::ActivityInfo;
use crate::data::{Failure, Headers};

/// Sees what a worker's workflows and activities are called with, and adds headers to what workflows call.
///
/// An interceptor runs outside workflow code, once for each real event and never for a replay: it may read clocks and send spans.
/// Each method does nothing unless it is written.
///
/// ```
/// use everloop::data::Headers;
/// use everloop::worker::{CallingWorkflow, WorkerInterceptor};
///
/// /// Hands the trace of a workflow on to its activities.
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
    /// A workflow's first task is about to be completed.
    fn workflow_started(&self, workflow: &CallingWorkflow<'_>) {
        let _ = workflow;
    }

    /// A workflow scheduled an activity: `headers` go with it.
    fn activity_scheduled(&self, workflow: &CallingWorkflow<'_>, activity_type: &str, headers: &mut Headers) {
        let _ = (workflow, activity_type, headers);
    }

    /// An attempt of an activity begins.
    fn activity_started(&self, info: &ActivityInfo) {
        let _ = info;
    }

    /// An attempt of an activity has ended: with this failure, or well.
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
