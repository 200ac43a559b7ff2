//! Lists and counts: reads of many rows, on separate threads.
//!
//! A filter may read every run. So scans never run on the threads of the caller's runtime, only a few run concurrently,
//! each has a time limit, and a scan ends when its caller is gone.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use crate::store::error::StoreError;

/// The number of concurrent scans. It is small, because the writer and calls need the machine as well.
const THREADS_MAX: usize = 2;
/// The number of scans that may wait for a thread.
const WAITING_MAX: usize = 64;
/// The time limit of a call. It is below the default of clients, ten seconds, so that they receive the cause.
const LIMIT: Duration = Duration::from_secs(8);
/// The number of SQLite's steps between two checks of the time: about ten microseconds.
const STEPS_PER_LOOK: i32 = 1000;

/// A list or count in progress; dropping it ends the scan.
#[derive(Debug)]
#[must_use = "it does nothing unless awaited"]
pub(crate) struct Scan<T> {
    ticket: Ticket,
    answer: oneshot::Receiver<Result<T, StoreError>>,
}

/// The caller that waits for a scan, and its time limit.
#[derive(Clone, Debug)]
pub(super) struct Ticket(Arc<TicketState>);

#[derive(Debug)]
struct TicketState {
    is_given_up: AtomicBool,
    since: Instant,
    limit: Duration,
}

/// The threads of one store. They start with the first scans.
#[derive(Debug)]
pub(super) struct Scans {
    limit: Duration,
    pool: Arc<Pool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Pool {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Ticket, Job)>,
    running: Vec<Ticket>,
    idle_threads: usize,
    closed: bool,
}

type Job = Box<dyn FnOnce(&Ticket) + Send>;

impl Default for Scans {
    fn default() -> Self {
        Self::with_limit(LIMIT)
    }
}

impl Scans {
    fn with_limit(limit: Duration) -> Self {
        Self { limit, pool: Arc::default(), threads: Mutex::default() }
    }

    /// Runs `read` on one of the threads.
    pub(super) fn start<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Ticket) -> Result<T, StoreError> + Send + 'static,
    ) -> Scan<T> {
        let (tell, answer) = oneshot::channel();
        let state = TicketState { is_given_up: AtomicBool::new(false), since: Instant::now(), limit: self.limit };
        let ticket = Ticket(Arc::new(state));
        let queued = self.pool.queue(&ticket, || {
            Box::new(move |ticket| {
                // The caller may be gone.
                drop(tell.send(read(ticket)));
            })
        });
        match queued.and_then(|needs_thread| if needs_thread { self.start_thread() } else { Ok(()) }) {
            Ok(()) => Scan { ticket, answer },
            Err(error) => {
                ticket.give_up();
                let (tell, answer) = oneshot::channel();
                drop(tell.send(Err(error)));
                Scan { ticket, answer }
            }
        }
    }

    /// Ends all scans, and waits for the threads.
    pub(super) fn stop(&self) {
        let mut queue = self.pool.lock();
        queue.closed = true;
        queue.waiting.clear();
        queue.running.iter().for_each(Ticket::give_up);
        drop(queue);
        self.pool.wake.notify_all();
        for thread in self.lock_threads().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of lists and counts panicked");
            }
        }
    }

    fn start_thread(&self) -> Result<(), StoreError> {
        let mut threads = self.lock_threads();
        if threads.len() >= THREADS_MAX {
            return Ok(());
        }
        let pool = Arc::clone(&self.pool);
        match thread::Builder::new().name("everloop-scans".into()).spawn(move || pool.work()) {
            Ok(thread) => threads.push(thread),
            // Running threads take the scan later.
            Err(error) if !threads.is_empty() => tracing::warn!(%error, "lists and counts have one thread less"),
            Err(error) => {
                return Err(StoreError::Failed { reason: format!("no thread for lists and counts: {error}").into() });
            }
        }
        Ok(())
    }

    fn lock_threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// Queues a scan; returns whether all threads are busy.
    fn queue(&self, ticket: &Ticket, job: impl FnOnce() -> Job) -> Result<bool, StoreError> {
        let mut queue = self.lock();
        queue.waiting.retain(|(ticket, _)| !ticket.is_over());
        if queue.waiting.len() >= WAITING_MAX {
            return Err(StoreError::Crowded { waiting: queue.waiting.len() });
        }
        queue.waiting.push_back((ticket.clone(), job()));
        let needs_thread = queue.idle_threads < queue.waiting.len();
        drop(queue);
        self.wake.notify_one();
        Ok(needs_thread)
    }

    fn work(&self) {
        let mut queue = self.lock();
        loop {
            queue.idle_threads += 1;
            queue = self
                .wake
                .wait_while(queue, |queue| queue.waiting.is_empty() && !queue.closed)
                .unwrap_or_else(PoisonError::into_inner);
            queue.idle_threads -= 1;
            let Some((ticket, job)) = queue.waiting.pop_front() else { return };
            queue.running.push(ticket.clone());
            drop(queue);
            if catch_unwind(AssertUnwindSafe(|| job(&ticket))).is_err() {
                tracing::error!("a list or count panicked");
            }
            queue = self.lock();
            queue.running.retain(|running| !Arc::ptr_eq(&running.0, &ticket.0));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code panics under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Runs a read, which ends early if its caller is gone or its time is over.
    pub(super) fn watch<T>(
        &self,
        connection: &mut Connection,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let ticket = self.clone();
        // Fails only on connections that rusqlite has not opened, and never in older versions.
        let _ = connection.progress_handler(STEPS_PER_LOOK, Some(move || ticket.is_over()));
        let result = read(connection);
        let _ = connection.progress_handler(0, None::<fn() -> bool>);
        result
    }

    /// The reason why a read was ended early; `None` for other failures.
    pub(super) fn explain(&self, error: &rusqlite::Error) -> Option<StoreError> {
        let is_ended = error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted);
        is_ended.then_some(StoreError::TooSlow { limit: self.0.limit })
    }

    fn is_over(&self) -> bool {
        self.0.is_given_up.load(Ordering::Relaxed) || self.0.since.elapsed() >= self.0.limit
    }

    fn give_up(&self) {
        self.0.is_given_up.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
impl<T> Scan<T> {
    /// Waits for the result on this thread.
    pub(crate) fn wait(self) -> Result<T, StoreError> {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(self)
    }
}

impl<T> Future for Scan<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(context));
        // Without a result, the scan panicked, or was dropped in the queue because its time was over or the store closed.
        Poll::Ready(answer.unwrap_or_else(|_| match self.ticket.is_over() {
            true => Err(StoreError::TooSlow { limit: self.ticket.0.limit }),
            false => Err(StoreError::Failed { reason: "a list or count panicked, or the store was closed".into() }),
        }))
    }
}

impl<T> Drop for Scan<T> {
    fn drop(&mut self) {
        self.ticket.give_up();
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.waiting.len()).field("running", &self.running.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Counts endlessly.
    fn endless(scans: &Scans) -> Scan<i64> {
        scans.start(|ticket| {
            let mut connection = Connection::open_in_memory().unwrap();
            let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
            let counted =
                ticket.watch(&mut connection, |connection| connection.query_row(endless, [], |row| row.get(0)));
            counted.map_err(|error| ticket.explain(&error).unwrap())
        })
    }

    fn poll<T>(scan: &mut Scan<T>) -> Poll<Result<T, StoreError>> {
        Pin::new(scan).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_scan_over_its_limit_fails_with_it() {
        let scans = Scans::with_limit(Duration::from_millis(20));
        let limit = scans.limit;
        assert_eq!(endless(&scans).wait(), Err(StoreError::TooSlow { limit }));
        let waited: Vec<_> = (0..5).map(|_| endless(&scans)).collect();
        for scan in waited {
            assert_eq!(scan.wait(), Err(StoreError::TooSlow { limit }), "the wait for a thread counts");
        }
        scans.stop();
    }

    #[test]
    fn scans_wait_for_one_of_a_few_threads_and_a_caller_that_goes_frees_its_own() {
        let scans = Scans::with_limit(Duration::from_secs(600));
        let busy: Vec<_> = (0..THREADS_MAX).map(|_| endless(&scans)).collect();
        let mut waits = scans.start(|_| Ok(7));
        assert!(poll(&mut waits).is_pending());
        let mut others: Vec<_> =
            (1..WAITING_MAX + THREADS_MAX).map(|number| scans.start(move |_| Ok(number))).collect();
        let crowded = others.iter_mut().filter_map(|scan| match poll(scan) {
            Poll::Ready(Err(StoreError::Crowded { waiting })) => Some(waiting),
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => None,
        });
        assert!(crowded.count() < others.len());
        assert!(matches!(scans.start(|_| Ok(())).wait(), Err(StoreError::Crowded { waiting: WAITING_MAX })));
        drop(busy);
        assert_eq!(waits.wait(), Ok(7));
        drop(others);
        assert_eq!(scans.start(|_| Ok(8)).wait(), Ok(8));
        assert_eq!(scans.lock_threads().len(), THREADS_MAX);
        scans.stop();
    }

    #[test]
    fn stopping_ends_what_runs_and_what_waits() {
        let scans = Scans::with_limit(Duration::from_secs(600));
        let all: Vec<_> = (0..THREADS_MAX + 1).map(|_| endless(&scans)).collect();
        scans.stop();
        for scan in all {
            assert!(scan.wait().is_err());
        }
    }
}
