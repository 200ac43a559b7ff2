//! The context of a call beside its request: above all its deadline, which is always in real time, in every clock mode.

use std::future::Future;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;
use tonic::Request;
use tonic::metadata::MetadataMap;

use crate::clock::timers::{JumpPermit, Timers};
use crate::service::calls::handover::Handover;
use crate::service::core::Core;
use crate::service::runs::slot::lock;
use crate::stop::StopNotice;
use crate::store::Store;

/// The longest wait of a poll for a task.
const TASK_POLL: Duration = Duration::from_secs(60);
/// The longest wait of a read for new events.
const READ_POLL: Duration = Duration::from_secs(20);
/// An empty response is sent this long before the caller's deadline, so that it arrives in time.
const MARGIN: Duration = Duration::from_millis(500);

/// The context of a call beside its request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) deadline: CallDeadline,
    /// Ends the call's waits when its socket stops.
    pub(crate) stop: StopNotice,
    /// Ends the call's waits when the store fails.
    store: Arc<dyn Store>,
    /// Whether responses contain events that are not part of the history yet: not for tools.
    pub(crate) shows_unwritten_events: bool,
    /// The tasks that the response hands over to a worker.
    pub(crate) handover: Handover,
    /// Set if the clock may jump while the call waits.
    timers: Option<Arc<Timers>>,
    /// Allows jumps until the call's condition is met or the call ends.
    time: Arc<Mutex<Option<Arc<JumpPermit>>>>,
}

/// A request extension: a time-skipping clock may jump while the call waits. For in-process callers.
#[derive(Clone, Copy, Debug)]
pub struct LetsTimeJump;

impl Call {
    pub(crate) fn of<T>(request: &Request<T>, core: &Core) -> Self {
        let metadata = request.metadata();
        let client = metadata.get("client-name").and_then(|name| name.to_str().ok()).unwrap_or_default();
        Self {
            deadline: CallDeadline::of(metadata),
            stop: StopNotice::of(request),
            handover: Handover::of(request),
            store: Arc::clone(&core.store),
            timers: request.extensions().get::<LetsTimeJump>().map(|LetsTimeJump| Arc::clone(&core.timers)),
            time: Arc::default(),
            shows_unwritten_events: !matches!(client, "temporal-cli" | "temporal-ui"),
        }
    }

    /// Allows jumps from now on, if the call asked for that. The returned permit is for the code that knows when the
    /// call's condition is met; the caller must keep a holder of the clock until that code has the permit.
    pub(crate) fn time(&self) -> Option<Weak<JumpPermit>> {
        let waiting = self.timers.as_ref()?.wait();
        let time = Arc::downgrade(&waiting);
        *lock(&self.time) = Some(waiting);
        Some(time)
    }

    /// Waits for `news`, at most until `until`.
    pub(crate) async fn wait<F: Future>(&self, until: Instant, news: F) -> Waited<F::Output> {
        tokio::select! {
            // News that has arrived already takes precedence.
            biased;
            news = timeout_at(until.into(), news) => news.map_or(Waited::InVain, Waited::For),
            () = self.stop.given() => Waited::Stopped,
            _ = self.store.failed() => Waited::Stopped,
        }
    }
}

/// The result of a wait.
#[derive(Debug)]
pub(crate) enum Waited<T> {
    For(T),
    /// The time is over.
    InVain,
    /// The socket stops, or the store has failed.
    Stopped,
}

/// The deadline of a call, as set by its caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallDeadline(Option<Instant>);

impl CallDeadline {
    /// Reads the `grpc-timeout` of the caller.
    fn of(metadata: &MetadataMap) -> Self {
        let timeout = metadata.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse);
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// When a poll for a task returns empty.
    pub(crate) fn task_poll(self) -> Instant {
        self.within(TASK_POLL)
    }

    /// When a waiting read returns the events so far.
    pub(crate) fn read_poll(self) -> Instant {
        self.within(READ_POLL)
    }

    /// When a call without an empty response fails.
    pub(crate) fn call(self) -> Instant {
        self.0.unwrap_or_else(|| Instant::now() + TASK_POLL)
    }

    fn within(self, most: Duration) -> Instant {
        let latest = Instant::now() + most;
        let Some(deadline) = self.0 else { return latest };
        let left = deadline.saturating_duration_since(Instant::now());
        let margin = MARGIN.min(left / 5);
        latest.min(deadline.checked_sub(margin).unwrap_or(deadline))
    }
}

/// Parses `"100m"` as 100 milliseconds, `"3S"` as 3 seconds.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count.checked_mul(3600)?),
        "M" => Duration::from_secs(count.checked_mul(60)?),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_with_their_unit() {
        assert_eq!(parse("70S"), Some(Duration::from_secs(70)));
        assert_eq!(parse("1500m"), Some(Duration::from_millis(1500)));
        assert_eq!(parse("5"), None);
        assert_eq!(parse("S"), None);
        assert_eq!(parse(""), None);
        assert_eq!(parse("-1S"), None);
    }

    #[test]
    fn a_poll_ends_before_the_deadline_of_its_caller() {
        let soon = CallDeadline(Some(Instant::now() + Duration::from_secs(10)));
        assert!(soon.task_poll() < soon.call());
        let never = CallDeadline(None);
        assert!(never.task_poll() <= Instant::now() + TASK_POLL);
    }
}
