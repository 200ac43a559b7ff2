//! The runs of one workflow thread, and what it does with them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::threads::{Answer, Busy, Job, Query, QueryAnswers, Shared, Then, WorkflowJob, WorkflowThread, lock};
use crate::executor::{ReplayError, Run, Step, Task, TaskFailure};

/// One workflow thread, from inside.
pub(super) struct RunThread {
    slot: usize,
    max_idle: usize,
    shared: Arc<Shared>,
    load: Arc<AtomicUsize>,
    busy: Arc<Mutex<Option<Busy>>>,
    lost: CancellationToken,
}

/// A run with what is under way for it.
struct Entry {
    run: Run,
    workflow_type: &'static str,
    state: State,
    /// Jobs that came while one was under way.
    waiting: VecDeque<(Box<WorkflowJob>, oneshot::Sender<Answer>)>,
}

enum State {
    /// Since that tick of the clock of uses.
    Idle(u64),
    /// Between `begin` and the answer: it may wait for a page or for its next turn.
    Working { completes_task: bool, queries: Vec<Query>, reply: Option<oneshot::Sender<Answer>> },
    /// The answer is on its way to the server.
    Answered,
}

#[derive(Default)]
struct Runs {
    entries: HashMap<Arc<str>, Entry>,
    idle: BTreeMap<u64, Arc<str>>,
    uses: u64,
    /// Long replays that let others in.
    yielded: VecDeque<Arc<str>>,
}

impl RunThread {
    pub(super) fn new(slot: usize, max_idle: usize, shared: Arc<Shared>, thread: &WorkflowThread) -> Self {
        let (load, busy, lost) = (thread.load(), thread.busy.clone(), thread.lost.clone());
        Self { slot, max_idle, shared, load, busy, lost }
    }

    /// Works until the worker is gone, or this thread was given up.
    pub(super) fn run(self, inbox: &Receiver<Job>) {
        let mut runs = Runs::default();
        loop {
            let job = if runs.yielded.is_empty() {
                let Ok(job) = inbox.recv() else { break };
                Some(job)
            } else {
                match inbox.try_recv() {
                    Ok(job) => Some(job),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => break,
                }
            };
            if self.lost.is_cancelled() {
                // Its runs are rebuilt elsewhere; whatever it would still answer is stale.
                return;
            }
            match job {
                Some(Job::Work { run_id, job, reply }) => self.work(&mut runs, &run_id, job, reply),
                Some(Job::Page { run_id, events, more, reply }) => {
                    if let Some(entry) = runs.entries.get_mut(&run_id)
                        && let State::Working { reply: slot, .. } = &mut entry.state
                    {
                        *slot = Some(reply);
                        let step = self.guarded(&run_id, entry, |run| run.extend(events, more));
                        self.stepped(&mut runs, &run_id, step);
                    }
                }
                Some(Job::Finished { run_id, then }) => self.finished(&mut runs, &run_id, then),
                None => {}
            }
            if let Some(run_id) = runs.yielded.pop_front()
                && let Some(entry) = runs.entries.get_mut(&run_id)
            {
                let step = self.guarded(&run_id, entry, Run::resume);
                self.stepped(&mut runs, &run_id, step);
            }
            self.load.store(runs.entries.len() - runs.idle.len(), Ordering::Relaxed);
        }
    }

    fn work(&self, runs: &mut Runs, run_id: &Arc<str>, job: Box<WorkflowJob>, reply: oneshot::Sender<Answer>) {
        if let Some(entry) = runs.entries.get_mut(run_id) {
            match entry.state {
                State::Idle(_) => {}
                // One task of a run at a time; its queries queue behind.
                State::Working { .. } | State::Answered => return entry.waiting.push_back((job, reply)),
            }
            if !fits(&entry.run, &job) {
                self.remove(runs, run_id);
            }
        }
        let WorkflowJob { definition, options, mut events, mut more, updates, completes_task, queries, .. } = *job;
        if !runs.entries.contains_key(run_id) {
            if events.first().is_none_or(|event| event.event_id != 1) {
                send(Some(reply), Answer::CacheMiss);
                return;
            }
            let workflow_type = definition.name();
            let run = Run::new(definition, options);
            let entry = Entry { run, workflow_type, state: State::Answered, waiting: VecDeque::new() };
            runs.entries.insert(run_id.clone(), entry);
            self.shared.has(run_id, self.slot);
        } else if !completes_task {
            // The run is where the query wants it: the history that came along is not needed.
            (events, more) = (Vec::new(), false);
        }
        let Some(entry) = runs.entries.get_mut(run_id) else { return };
        if let State::Idle(since) = entry.state {
            runs.idle.remove(&since);
        }
        entry.state = State::Working { completes_task, queries, reply: Some(reply) };
        let step = self.guarded(run_id, entry, |run| run.begin(Task { events, more, updates }));
        self.stepped(runs, run_id, step);
    }

    fn stepped(&self, runs: &mut Runs, run_id: &Arc<str>, step: Step) {
        let Some(entry) = runs.entries.get_mut(run_id) else { return };
        let State::Working { completes_task, queries, reply } = &mut entry.state else { return };
        let completes_task = *completes_task;
        match step {
            Step::Yielded => runs.yielded.push_back(run_id.clone()),
            Step::NeedHistory => {
                send(reply.take(), Answer::NeedHistory);
            }
            Step::Failed(failure) => {
                let reply = reply.take();
                self.remove(runs, run_id);
                send(reply, Answer::Failed(failure));
            }
            Step::Settled if completes_task => {
                let reason = "the history that came with the task has no task to complete";
                let failure =
                    ReplayError::InvalidHistory { event_id: entry.run.next_event_id(), reason: reason.into() };
                let reply = reply.take();
                self.remove(runs, run_id);
                send(reply, Answer::Failed(TaskFailure::Replay(failure)));
            }
            Step::Settled => {
                let (reply, queries) = (reply.take(), std::mem::take(queries));
                let answers = self.answer(run_id, entry, queries);
                send(reply, Answer::Queried(answers));
                self.idle(runs, run_id);
            }
            Step::Complete(completion) => {
                let (reply, queries) = (reply.take(), std::mem::take(queries));
                let answers = self.answer(run_id, entry, queries);
                let headers = entry.run.headers();
                entry.state = State::Answered;
                if !completes_task {
                    // A query met the task of another poll in the history: what it did here must not be kept.
                    send(reply, Answer::Queried(answers));
                    self.remove(runs, run_id);
                } else if !send(reply, Answer::Completed { completion, answers, headers }) {
                    self.remove(runs, run_id);
                }
            }
        }
    }

    fn finished(&self, runs: &mut Runs, run_id: &Arc<str>, then: Then) {
        let Some(entry) = runs.entries.get_mut(run_id) else { return };
        match then {
            Then::Keep => self.idle(runs, run_id),
            Then::Evict => self.remove(runs, run_id),
            Then::Discard { last_started_event_id } => {
                entry.run.discard_task(last_started_event_id);
                self.idle(runs, run_id);
            }
        }
    }

    /// A run has nothing under way: the next waiting job, or a place among the idle ones.
    fn idle(&self, runs: &mut Runs, run_id: &Arc<str>) {
        let Some(entry) = runs.entries.get_mut(run_id) else { return };
        runs.uses += 1;
        entry.state = State::Idle(runs.uses);
        runs.idle.insert(runs.uses, run_id.clone());
        if let Some((job, reply)) = entry.waiting.pop_front() {
            return self.work(runs, run_id, job, reply);
        }
        while runs.idle.len() > self.max_idle {
            let Some((_, oldest)) = runs.idle.pop_first() else { break };
            self.remove(runs, &oldest);
        }
    }

    /// Drops a run. Jobs that waited for it begin anew.
    fn remove(&self, runs: &mut Runs, run_id: &Arc<str>) {
        let Some(entry) = runs.entries.remove(run_id) else { return };
        if let State::Idle(since) = entry.state {
            runs.idle.remove(&since);
        }
        self.shared.has_not(run_id, self.slot);
        let Entry { run, workflow_type, waiting, .. } = entry;
        self.watched(run_id, workflow_type, || drop(run));
        for (job, reply) in waiting {
            self.work(runs, run_id, job, reply);
        }
    }

    fn answer(&self, run_id: &Arc<str>, entry: &Entry, queries: Vec<Query>) -> QueryAnswers {
        let answer = |query: Query| {
            let answer = entry.run.query(&query.name, &query.input);
            (query.id, answer)
        };
        self.watched(run_id, entry.workflow_type, || queries.into_iter().map(answer).collect())
    }

    fn guarded(&self, run_id: &Arc<str>, entry: &mut Entry, step: impl FnOnce(&mut Run) -> Step) -> Step {
        self.watched(run_id, entry.workflow_type, || step(&mut entry.run))
    }

    /// Executes workflow code where the watchdog sees it.
    fn watched<R>(&self, run_id: &Arc<str>, workflow_type: &'static str, code: impl FnOnce() -> R) -> R {
        let busy = Busy { run_id: run_id.clone(), workflow_type, since: Instant::now(), warned: false };
        *lock(&self.busy) = Some(busy);
        let result = code();
        *lock(&self.busy) = None;
        result
    }
}

/// Whether a cached run is exactly where a job begins.
fn fits(run: &Run, job: &WorkflowJob) -> bool {
    let last_is_right = run.last_started_event_id() == job.previous_started_event_id;
    let first_is_right = job.events.first().is_some_and(|event| event.event_id == run.next_event_id());
    last_is_right && (first_is_right || !job.completes_task)
}

/// Answers whoever asked. False if nobody waits any more.
fn send(reply: Option<oneshot::Sender<Answer>>, answer: Answer) -> bool {
    reply.is_some_and(|reply| reply.send(answer).is_ok())
}
