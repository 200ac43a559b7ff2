//! The limits of an engine. Sizes are in bytes of encoded messages.
//!
//! Limits that callers and workers can notice are the defaults of the Temporal server's dynamic configuration; the
//! limits of memory are this engine's own.

use std::time::Duration;

// History of one run.

/// A run whose history would have more events is terminated.
pub(crate) const HISTORY_EVENTS_MAX: i64 = 51_200;
/// A run whose history would be larger is terminated.
pub(crate) const HISTORY_BYTES_MAX: i64 = 50 << 20;
/// The log warns of a run whose history has more events.
pub(crate) const HISTORY_EVENTS_MANY: i64 = 10_240;
/// The log warns of a run whose history is larger.
pub(crate) const HISTORY_BYTES_MANY: i64 = 10 << 20;
/// Workers get the suggestion to continue as new from this number of events.
pub(crate) const SUGGEST_CONTINUE_EVENTS: i64 = 4 << 10;
/// Workers get the suggestion to continue as new from this size of the history.
pub(crate) const SUGGEST_CONTINUE_BYTES: i64 = 4 << 20;

// Limits of one run.

/// Signals during its whole life.
pub(crate) const SIGNALS_MAX: usize = 10_000;
/// Activities that have not finished.
pub(crate) const PENDING_ACTIVITIES_MAX: usize = 2_000;
/// Children of one run that have not closed.
pub(crate) const PENDING_CHILDREN_MAX: usize = 2_000;
/// Signals of one run to other workflows whose result is not known.
pub(crate) const PENDING_SIGNALS_MAX: usize = 2_000;
/// Cancel requests of one run to other workflows whose result is not known.
pub(crate) const PENDING_CANCEL_REQUESTS_MAX: usize = 2_000;
/// Updates that have not ended.
pub(crate) const UPDATES_IN_FLIGHT_MAX: usize = 10;
/// The total size of the requests of updates that have not ended.
pub(crate) const UPDATES_IN_FLIGHT_BYTES_MAX: usize = 20 << 20;
/// Updates during its whole life.
pub(crate) const UPDATES_MAX: usize = 2_000;
/// The least time between the first workflow tasks of two runs that follow each other.
pub(crate) const RUN_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Workers get the suggestion to continue as new from this number of updates.
pub(crate) const UPDATES_MANY: usize = UPDATES_MAX * 9 / 10;
/// Queries that wait for a workflow task.
pub(crate) const QUERIES_WAITING_MAX: usize = 1_000;
/// Events buffered during a workflow task. One more fails the task.
pub(crate) const BUFFERED_EVENTS_MAX: usize = 100;
/// The total size of the events buffered during a workflow task. A larger size fails the task.
pub(crate) const BUFFERED_BYTES_MAX: usize = 2 << 20;
/// Longer timeouts of workflow tasks are clamped to this.
pub(crate) const TASK_TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// A worker may extend a workflow task by heartbeats for this long.
pub(crate) const HEARTBEAT_CHAIN_MAX: Duration = Duration::from_secs(30 * 60);

// Requests and responses.

/// A request on a socket, uncompressed.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Concurrent calls on one connection. Every waiting poll is one, and a busy worker has dozens.
pub(crate) const STREAMS_MAX: u32 = 10_000;
/// One input, result, or set of details.
pub(crate) const BLOB_BYTES_MAX: usize = 2 << 20;
/// The value of one search attribute.
pub(crate) const SEARCH_ATTRIBUTE_BYTES_MAX: usize = 2_048;
/// One id or name.
pub(crate) const ID_BYTES_MAX: usize = 1_000;
/// Failures in one chain of causes. Protobuf decoders reject more than 100 nested messages; the chain itself is nested
/// in a response, a history, an event and a few more, and its last failure contains the metadata of details.
pub(crate) const FAILURE_CHAIN_MAX: usize = 80;
/// The kept part of an attempt's failure, for the next attempt.
pub(crate) const KEPT_FAILURE_BYTES_MAX: usize = 4 << 10;
/// Batches in one page of a history.
pub(crate) const PAGE_BATCHES_MAX: usize = 256;
/// One page of a history; it fits into the default message limit of clients.
pub(crate) const PAGE_BYTES_MAX: usize = 2 << 20;
/// Rows in one page of a visibility list.
pub(crate) const PAGE_ROWS_MAX: usize = 1_000;

// Memory.

/// Idle open runs in memory.
pub(crate) const IDLE_RUNS_BYTES_MAX: usize = 256 << 20;
/// Closed runs in memory.
pub(crate) const CLOSED_RUNS_MAX: usize = 20_000;
/// Histories of closed runs in memory.
pub(crate) const CLOSED_RUNS_BYTES_MAX: usize = 32 << 20;
/// Pollers that each queue lists.
pub(crate) const POLLERS_MAX: usize = 1_000;
