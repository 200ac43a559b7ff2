//! Workflow threads: ordinary threads that own runs, which never move between threads.
//!
//! A thread takes jobs, keeps runs between them (the least recently used ones are dropped when there are too many), and
//! answers through a channel. There is no tokio context on it. A thread whose workflow code does not come back is given up:
//! another takes its place, and its other runs are rebuilt there by replay.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use everloop_proto::temporal::api::history::v1::HistoryEvent;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::cache::RunThread;
use crate::client::Headers;
use crate::executor::{Completion, Definition, QueryError, RunOptions, TaskFailure, Update};
use crate::raw;

/// A workflow task or a query for one run.
pub(super) struct WorkflowJob {
    pub(super) definition: Arc<dyn Definition>,
    pub(super) options: RunOptions,
    pub(super) events: Vec<HistoryEvent>,
    /// Whether pages follow.
    pub(super) more: bool,
    pub(super) updates: Vec<Update>,
    /// The last task that the run must have seen, if it is in the cache.
    pub(super) previous_started_event_id: i64,
    /// Whether there is a task to complete; a query alone completes none.
    pub(super) completes_task: bool,
    pub(super) queries: Vec<Query>,
}

/// A question to the state after the task.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) input: Vec<raw::Payload>,
}

pub(super) type QueryAnswers = Vec<(String, Result<raw::Payload, QueryError>)>;

/// What came of a job.
pub(super) enum Answer {
    /// The task is done, and the run goes on from there, or is gone if the task closes it. If the server does not take the
    /// task as it is, undo this turn.
    Completed { completion: Completion, answers: QueryAnswers, headers: Headers, turn: Turn },
    /// There was no task; the run is idle again.
    Queried(QueryAnswers),
    /// Send the next page by [`Job::Page`].
    NeedHistory,
    /// The run is not there, or is not where the events begin: send the whole history.
    CacheMiss,
    /// The run is gone.
    Failed(TaskFailure),
}

/// What a thread is asked to do.
pub(super) enum Job {
    Work {
        run_id: Arc<str>,
        job: Box<WorkflowJob>,
        reply: oneshot::Sender<Answer>,
    },
    Page {
        run_id: Arc<str>,
        events: Vec<HistoryEvent>,
        more: bool,
        reply: oneshot::Sender<Answer>,
    },
    /// The page that the run waits for does not come.
    NoPage {
        run_id: Arc<str>,
    },
    /// The server did not take the answer of that turn. Nothing happens if the run has gone on.
    Undo {
        run_id: Arc<str>,
        turn: Turn,
        undo: Undo,
    },
}

/// Which rest of a run between two jobs it is; no two are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(u64);

/// What the server made of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undo {
    /// Nobody knows: history will tell.
    Evict,
    /// History will not have the task: go on from this Started event.
    Discard { last_started_event_id: i64 },
}

/// How many threads may be lost for each one that there is, before the worker gives up: what blocks is tried again, and blocks
/// the next one.
const LOST_FOR_EACH: usize = 4;

/// All workflow threads of a worker.
pub(super) struct WorkflowThreads {
    shared: Arc<Shared>,
    options: ThreadOptions,
    slots: Mutex<Slots>,
}

#[derive(Debug, Clone)]
pub(super) struct ThreadOptions {
    pub(super) threads: usize,
    pub(super) max_cached: usize,
    /// `None` never gives up.
    pub(super) deadlock_timeout: Option<Duration>,
    pub(super) name: String,
}

/// What the threads have in common.
#[derive(Default)]
pub(super) struct Shared {
    /// Which thread has which run.
    owners: Mutex<HashMap<Arc<str>, usize>>,
    turns: AtomicU64,
}

struct Slots {
    threads: Vec<WorkflowThread>,
    lost: usize,
}

/// One thread, from outside.
#[derive(Clone)]
pub(super) struct WorkflowThread {
    jobs: Sender<Job>,
    load: Arc<AtomicUsize>,
    pub(super) busy: Arc<Mutex<Option<Busy>>>,
    /// Cancelled when the thread is given up.
    pub(super) lost: CancellationToken,
}

/// The workflow code that a thread is executing.
#[derive(Debug, Clone)]
pub(super) struct Busy {
    pub(super) run_id: Arc<str>,
    pub(super) workflow_type: &'static str,
    pub(super) since: Instant,
    pub(super) warned: bool,
}

impl WorkflowThreads {
    pub(super) fn start(options: ThreadOptions) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let threads: Result<_, _> = (0..options.threads).map(|slot| spawn(slot, &options, &shared)).collect();
        let slots = Mutex::new(Slots { threads: threads?, lost: 0 });
        Ok(Self { shared, options, slots })
    }

    /// The thread that has a run, or the least busy one.
    pub(super) fn of_run(&self, run_id: &Arc<str>) -> WorkflowThread {
        let slots = lock(&self.slots);
        let mut owners = lock(&self.shared.owners);
        let slot = *owners.entry(run_id.clone()).or_insert_with(|| {
            let least = (0..slots.threads.len()).min_by_key(|slot| slots.threads[*slot].load.load(Ordering::Relaxed));
            least.unwrap_or_default()
        });
        slots.threads[slot].clone()
    }

    /// Tells the thread that has a run, if there is one.
    pub(super) fn tell(&self, run_id: &Arc<str>, job: Job) {
        let slots = lock(&self.slots);
        if let Some(slot) = lock(&self.shared.owners).get(run_id) {
            slots.threads[*slot].send(job);
        }
    }

    /// Gives up threads whose code has not come back in time. Answers the names of what they were executing, and whether
    /// too many were lost to go on.
    pub(super) fn give_up_stuck(&self) -> (Vec<Busy>, bool) {
        let Some(limit) = self.options.deadlock_timeout else { return (Vec::new(), false) };
        let mut slots = lock(&self.slots);
        let mut stuck = Vec::new();
        for slot in 0..slots.threads.len() {
            let thread = &slots.threads[slot];
            let Some(busy) = thread.overdue(limit) else { continue };
            lock(&self.shared.owners).retain(|_, owner| *owner != slot);
            thread.lost.cancel();
            stuck.push(busy);
            // A thread that cannot be made leaves the slot to the lost one, whose jobs then fail at once.
            if let Ok(next) = spawn(slot, &self.options, &self.shared) {
                slots.threads[slot] = next;
            }
            slots.lost += 1;
        }
        (stuck, slots.lost > LOST_FOR_EACH * self.options.threads)
    }
}

impl WorkflowThread {
    /// Hands over a job. It is lost with the thread.
    pub(super) fn send(&self, job: Job) {
        // The receiver is gone only with the thread, which `lost` tells or the reply channel does.
        let _ = self.jobs.send(job);
    }

    /// What it executes, if for longer than `limit`. Warns once at half of it.
    fn overdue(&self, limit: Duration) -> Option<Busy> {
        let mut busy = lock(&self.busy);
        let busy = busy.as_mut()?;
        let elapsed = busy.since.elapsed();
        if elapsed >= limit / 2 && !std::mem::replace(&mut busy.warned, true) {
            tracing::warn!(
                run_id = %busy.run_id,
                workflow_type = busy.workflow_type,
                "workflow code has run for {elapsed:.1?} without waiting; at {limit:.1?} its task fails: move long \
                 computations and anything that blocks into an activity"
            );
        }
        (elapsed >= limit).then(|| busy.clone())
    }
}

impl Shared {
    pub(super) fn has(&self, run_id: &Arc<str>, slot: usize) {
        lock(&self.owners).insert(run_id.clone(), slot);
    }

    pub(super) fn next_turn(&self) -> Turn {
        Turn(self.turns.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn has_not(&self, run_id: &Arc<str>, slot: usize) {
        let mut owners = lock(&self.owners);
        if owners.get(run_id) == Some(&slot) {
            owners.remove(run_id);
        }
    }
}

fn spawn(slot: usize, options: &ThreadOptions, shared: &Arc<Shared>) -> std::io::Result<WorkflowThread> {
    let (jobs, inbox) = channel();
    let thread = WorkflowThread { jobs, load: Arc::default(), busy: Arc::default(), lost: CancellationToken::new() };
    let runs = RunThread::new(slot, options.max_cached.div_ceil(options.threads), shared.clone(), &thread);
    let subscriber = super::logging::silent_on_replay();
    let name = format!("{}-workflows-{slot}", options.name);
    std::thread::Builder::new()
        .name(name)
        .spawn(move || tracing::dispatcher::with_default(&subscriber, || runs.run(&inbox)))?;
    Ok(thread)
}

impl WorkflowThread {
    pub(super) fn load(&self) -> Arc<AtomicUsize> {
        self.load.clone()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is whole between statements, so a panic elsewhere leaves nothing broken.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
