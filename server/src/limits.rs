//! The limits of an engine, all in one place. Sizes are in bytes, of encoded messages.
//!
//! What callers and workers can meet has the defaults of the usual server (its dynamic configuration); the limits of memory are
//! this engine's own.

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
/// Workers are told to continue as new from so many events on.
pub(crate) const SUGGEST_CONTINUE_EVENTS: i64 = 4 << 10;
/// Workers are told to continue as new from this size of the history on.
pub(crate) const SUGGEST_CONTINUE_BYTES: i64 = 4 << 20;

// What one run may have.

/// Signals, over its whole life.
pub(crate) const SIGNALS_MAX: usize = 10_000;
/// Activities that have not finished.
pub(crate) const PENDING_ACTIVITIES_MAX: usize = 2_000;
/// Updates that have not ended.
pub(crate) const UPDATES_IN_FLIGHT_MAX: usize = 10;
/// All requests of updates that have not ended.
pub(crate) const UPDATES_IN_FLIGHT_BYTES_MAX: usize = 20 << 20;
/// Updates, over its whole life.
pub(crate) const UPDATES_MAX: usize = 2_000;
/// Workers are told to continue as new from so many updates on.
pub(crate) const UPDATES_MANY: usize = UPDATES_MAX * 9 / 10;
/// Queries that wait for a workflow task.
pub(crate) const QUERIES_WAITING_MAX: usize = 1_000;
/// Events that wait for a workflow task to end. One more fails the task.
pub(crate) const BUFFERED_EVENTS_MAX: usize = 100;
/// All events that wait for a workflow task to end. More fail the task.
pub(crate) const BUFFERED_BYTES_MAX: usize = 2 << 20;
/// A longer timeout of workflow tasks is shortened to this.
pub(crate) const TASK_TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// A worker may answer that it is still busy for this long, over a chain of workflow tasks.
pub(crate) const HEARTBEAT_CHAIN_MAX: Duration = Duration::from_secs(30 * 60);

// Requests and responses.

/// A request on a socket, uncompressed.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Calls at once on one connection. Every waiting poll is one, and a busy worker has dozens.
pub(crate) const STREAMS_MAX: u32 = 10_000;
/// One input, result, or set of details.
pub(crate) const BLOB_BYTES_MAX: usize = 2 << 20;
/// One id or name.
pub(crate) const ID_BYTES_MAX: usize = 1_000;
/// Failures in one chain of causes. Protobuf readers stop at 100 nested messages; around the chain are a response, a history, an
/// event and a few more, and within its last failure the metadata of details.
pub(crate) const FAILURE_CHAIN_MAX: usize = 80;
/// What is kept of the failure of an attempt for the next attempt.
pub(crate) const KEPT_FAILURE_BYTES_MAX: usize = 4 << 10;
/// Batches in one page of a history.
pub(crate) const PAGE_BATCHES_MAX: usize = 256;
/// One page of a history, so that it fits into a message of a client with plain limits.
pub(crate) const PAGE_BYTES_MAX: usize = 2 << 20;
/// Rows in one page of a list.
pub(crate) const PAGE_ROWS_MAX: usize = 1_000;

// Memory.

/// Open runs in memory that are not at work.
pub(crate) const IDLE_RUNS_BYTES_MAX: usize = 256 << 20;
/// Closed runs in memory.
pub(crate) const CLOSED_RUNS_MAX: usize = 20_000;
/// Histories of closed runs in memory.
pub(crate) const CLOSED_RUNS_BYTES_MAX: usize = 32 << 20;
/// Pollers that each queue remembers.
pub(crate) const POLLERS_MAX: usize = 1_000;
