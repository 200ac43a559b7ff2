//! Data that the engine, the store and visibility share: keys, the status of a run, visibility rows, batches of events.

use std::sync::Arc;

use bytes::Bytes;

/// The search attribute with the change versions of a run's code, which every namespace has: a list of texts.
pub(crate) const CHANGE_VERSION: &str = "TemporalChangeVersion";

/// The integer key of one run: never reused, and larger for later runs.
///
/// The current run of a workflow id is therefore the one with the largest key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RunKey(pub(crate) i64);

/// The integer key of one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NamespaceKey(pub(crate) i64);

/// A namespace as events name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamespaceNames {
    pub(crate) name: Arc<str>,
    /// The id that other servers of the protocol know namespaces by.
    pub(crate) id: Arc<str>,
}

/// Events written together, in encoded form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HistoryBatch {
    pub(crate) first_event_id: i64,
    /// The number after that of the last event.
    pub(crate) next_event_id: i64,
    /// The number of the transition that wrote the batch, from 1.
    pub(crate) transition: i64,
    /// The encoded `events` fields of a `History` message, one after the other (tag, length, event): concatenated
    /// batches are an encoded `History`.
    pub(crate) events: Bytes,
}

/// The status of a run, with the numbers of the protocol's `WorkflowExecutionStatus`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub(crate) enum RunStatus {
    #[default]
    Running = 1,
    Completed = 2,
    Failed = 3,
    Canceled = 4,
    Terminated = 5,
    ContinuedAsNew = 6,
    TimedOut = 7,
    Paused = 8,
}

impl RunStatus {
    pub(crate) const ALL: [Self; 8] = [
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Canceled,
        Self::Terminated,
        Self::ContinuedAsNew,
        Self::TimedOut,
        Self::Paused,
    ];

    /// The number in the protocol.
    pub(crate) fn number(self) -> i32 {
        self as i32
    }

    pub(crate) fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.number() == number)
    }

    /// Parses a short name, `TimedOut`, or a name of the protocol, `WORKFLOW_EXECUTION_STATUS_TIMED_OUT`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| name == status.name() || name == status.protocol_name())
    }

    /// The name in the protocol's enum.
    pub(crate) fn protocol_name(self) -> &'static str {
        match self {
            Self::Running => "WORKFLOW_EXECUTION_STATUS_RUNNING",
            Self::Completed => "WORKFLOW_EXECUTION_STATUS_COMPLETED",
            Self::Failed => "WORKFLOW_EXECUTION_STATUS_FAILED",
            Self::Canceled => "WORKFLOW_EXECUTION_STATUS_CANCELED",
            Self::Terminated => "WORKFLOW_EXECUTION_STATUS_TERMINATED",
            Self::ContinuedAsNew => "WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW",
            Self::TimedOut => "WORKFLOW_EXECUTION_STATUS_TIMED_OUT",
            Self::Paused => "WORKFLOW_EXECUTION_STATUS_PAUSED",
        }
    }

    /// The name in filters and groups, `TimedOut`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
            Self::Terminated => "Terminated",
            Self::ContinuedAsNew => "ContinuedAsNew",
            Self::TimedOut => "TimedOut",
            Self::Paused => "Paused",
        }
    }
}

/// The data of a run in lists and descriptions. Times are nanoseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VisibilityRow {
    pub(crate) namespace: NamespaceKey,
    pub(crate) workflow_id: Arc<str>,
    pub(crate) run_id: Arc<str>,
    /// The id of the start request, used to recognize retries. Lists do not contain it.
    pub(crate) create_request_id: Arc<str>,
    pub(crate) workflow_type: Arc<str>,
    pub(crate) task_queue: Arc<str>,
    pub(crate) status: RunStatus,
    pub(crate) start_time_ns: i64,
    /// When the first workflow task was due: the start time plus the start delay.
    pub(crate) execution_time_ns: i64,
    pub(crate) close_time_ns: Option<i64>,
    /// The number of events; like the next two fields, lists contain it for closed runs only.
    pub(crate) history_length: i64,
    pub(crate) history_size_bytes: i64,
    pub(crate) state_transition_count: i64,
    /// An encoded `Memo`.
    pub(crate) memo: Option<Bytes>,
    /// A JSON object, for filters to look into: `{"NAME": {"type": TYPE, "value": VALUE}, …}`.
    pub(crate) search_attributes: Option<Arc<str>>,
}
