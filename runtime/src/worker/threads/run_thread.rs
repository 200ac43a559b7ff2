//! The loop of a workflow thread: jobs in, replies out.

use std::collections::{VecDeque, hash_map};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::cached_runs::{CachedRun, CachedRuns, RunState};
use super::owners::{RunOwners, Seat};
use super::running_code::{RunningCode, lock};
use super::thread::WorkflowThread;
use crate::executor::{LastLine, ReplayError, Run, Step, Task, TaskFailure, catch};
use crate::worker::jobs::{IdlePeriod, Job, JobReply, LocalNews, Query, QueryAnswers, Undo, WorkflowJob};
use crate::worker::logging::of_workflow;

/// The loop of a workflow thread, with its place among the others.
pub(super) struct RunThread {
    seat: Seat,
    max_idle: usize,
    owners: Arc<RunOwners>,
    load: Arc<AtomicUsize>,
    running: Arc<Mutex<Option<RunningCode>>>,
    lost: CancellationToken,
}

impl RunThread {
    pub(super) fn new(seat: Seat, max_idle: usize, owners: Arc<RunOwners>, thread: &WorkflowThread) -> Self {
        let (load, running, lost) = (thread.load.clone(), thread.running.clone(), thread.lost.clone());
        Self { seat, max_idle, owners, load, running, lost }
    }

    /// Handles jobs until the worker is dropped or abandons this thread.
    pub(super) fn run(self, inbox: &Receiver<Job>) {
        let mut runs = CachedRuns::default();
        loop {
            let job = if runs.is_waiting() {
                let Ok(job) = inbox.recv() else { break };
                Some(job)
            } else if runs.ready.is_empty() {
                match inbox.try_recv() {
                    Ok(job) => Some(job),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => break,
                }
            } else {
                None
            };
            if self.lost.is_cancelled() {
                // Other threads rebuild its runs, so its replies would be stale.
                return;
            }
            self.advance(&mut runs, job);
        }
    }

    /// Handles one new job, one job that waited for its run, and one turn of a long replay, if there are any.
    ///
    /// *Invariant: only this function begins jobs.* Functions that end a job or drop a run move the run's waiting jobs to
    /// `ready`. If these functions began a job, they would change the run while their caller uses it.
    fn advance(&self, runs: &mut CachedRuns, job: Option<Job>) {
        match job {
            Some(Job::Work { run_id, job, reply }) => self.work(runs, &run_id, job, reply),
            Some(Job::Page { run_id, events, more, reply }) => {
                if let Some(entry) = runs.entries.get_mut(&run_id)
                    && let RunState::Working { reply: slot @ None, .. } = &mut entry.state
                {
                    *slot = Some(reply);
                    let step = self.guarded(&run_id, entry, |run| run.extend(events, more));
                    self.stepped(runs, &run_id, step);
                }
            }
            Some(Job::GoOn { run_id, pause, news, reply }) => self.go_on(runs, &run_id, pause, news, reply),
            Some(Job::GiveUp { run_id }) => {
                let waits = |entry: &CachedRun| matches!(entry.state, RunState::Working { reply: None, .. });
                if runs.entries.get(&run_id).is_some_and(waits) {
                    self.remove(runs, &run_id);
                }
            }
            Some(Job::ListIdle { first, limit, reply }) => {
                // The receiver is gone if the worker has stopped.
                let _unheard = reply.send(runs.list_idle(first, limit));
            }
            Some(Job::Undo { run_id, idle_period, undo }) => self.undo(runs, &run_id, idle_period, undo),
            None => {}
        }
        if let Some((run_id, job, reply)) = runs.ready.pop_front() {
            self.work(runs, &run_id, job, reply);
        }
        if let Some(run_id) = runs.yielded.pop_front()
            && let Some(entry) = runs.entries.get_mut(&run_id)
        {
            let step = self.guarded(&run_id, entry, Run::resume);
            self.stepped(runs, &run_id, step);
        }
        self.load.store(runs.entries.len() - runs.idle.len(), Ordering::Relaxed);
    }

    fn work(&self, runs: &mut CachedRuns, run_id: &Arc<str>, job: Box<WorkflowJob>, reply: oneshot::Sender<JobReply>) {
        if let Some(entry) = runs.entries.get_mut(run_id) {
            match entry.state {
                RunState::Idle(_) => {}
                // The server has ended the task that the run is paused in, since there is another one.
                RunState::Working { pause: Some(_), .. } if job.completes_task => self.remove(runs, run_id),
                // A run executes one task at a time; its queries wait as well.
                RunState::Working { .. } => return entry.waiting.push_back((job, reply)),
            }
        }
        if runs.entries.get(run_id).is_some_and(|entry| !fits(&entry.run, &job)) {
            self.remove(runs, run_id);
        }
        let WorkflowJob {
            definition,
            options,
            mut events,
            mut more,
            updates,
            started_event_id,
            completes_task,
            queries,
            ..
        } = *job;
        if !runs.entries.contains_key(run_id) && events.first().is_none_or(|event| event.event_id != 1) {
            // The task may not return, so a missing run must not keep an owner.
            self.owners.release(run_id, self.seat);
            send(Some(reply), JobReply::CacheMiss);
            return;
        }
        let task = completes_task.then_some(started_event_id);
        let working = RunState::Working { task, queries, reply: Some(reply), pause: None };
        let entry = match runs.entries.entry(run_id.clone()) {
            hash_map::Entry::Occupied(entry) => {
                if !completes_task {
                    // The run has processed the history that the query contains.
                    (events, more) = (Vec::new(), false);
                }
                let entry = entry.into_mut();
                if let RunState::Idle(since) = std::mem::replace(&mut entry.state, working) {
                    runs.idle.remove(&since);
                }
                entry
            }
            hash_map::Entry::Vacant(entry) => {
                self.owners.claim(run_id, self.seat);
                let (workflow_id, workflow_type) = (options.workflow_id.clone(), definition.name());
                let span = of_workflow(workflow_type, &options, &events);
                let run = Run::new(definition, options);
                let (idle_since, waiting) = (Instant::now(), VecDeque::new());
                entry.insert(CachedRun {
                    run,
                    workflow_id,
                    workflow_type,
                    span,
                    state: working,
                    idle_since,
                    listed: 0,
                    waiting,
                })
            }
        };
        let step = self.guarded(run_id, entry, |run| run.begin(Task { events, more, updates }));
        self.stepped(runs, run_id, step);
    }

    fn stepped(&self, runs: &mut CachedRuns, run_id: &Arc<str>, step: Step) {
        let Some(entry) = runs.entries.get_mut(run_id) else { return };
        let RunState::Working { task, queries, reply, pause } = &mut entry.state else { return };
        let task = *task;
        match step {
            Step::Yielded => runs.yielded.push_back(run_id.clone()),
            Step::WaitsForLocal if task.is_none() => {
                // As below: the task is another poll's, and so are its local activities.
                let (reply, queries) = (reply.take(), std::mem::take(queries));
                let answers = self.answer(run_id, entry, queries);
                send(reply, JobReply::Queried(answers));
                self.remove(runs, run_id);
            }
            Step::WaitsForLocal => {
                let (reply, this_pause) = (reply.take(), self.owners.next_idle_period());
                *pause = Some(this_pause);
                let waits = JobReply::WaitsForLocal {
                    requests: entry.run.take_local_requests(),
                    headers: entry.run.headers(),
                    task_timeout: entry.run.task_timeout(),
                    pause: this_pause,
                };
                if !send(reply, waits) {
                    self.remove(runs, run_id);
                }
            }
            Step::NeedHistory => {
                send(reply.take(), JobReply::NeedHistory);
            }
            Step::Failed(failure) => {
                let reply = reply.take();
                self.remove(runs, run_id);
                send(reply, JobReply::Failed(failure));
            }
            Step::Settled if task.is_some_and(|started| entry.run.next_event_id() > started + 1) => {
                let reply = reply.take();
                self.remove(runs, run_id);
                send(reply, JobReply::Ended);
            }
            Step::Settled if task.is_some() => {
                let reason = "the history that came with the task has no task to complete";
                let failure =
                    ReplayError::InvalidHistory { event_id: entry.run.next_event_id(), reason: reason.into() };
                let reply = reply.take();
                self.remove(runs, run_id);
                send(reply, JobReply::Failed(TaskFailure::Replay(failure)));
            }
            Step::Settled => {
                let (reply, queries) = (reply.take(), std::mem::take(queries));
                let answers = self.answer(run_id, entry, queries);
                send(reply, JobReply::Queried(answers));
                self.idle(runs, run_id, self.owners.next_idle_period());
            }
            Step::Complete(completion) => {
                let (reply, queries) = (reply.take(), std::mem::take(queries));
                let answers = self.answer(run_id, entry, queries);
                if task.is_none() {
                    // The history of a query included a task of another poll: the run must not keep the state of that task.
                    send(reply, JobReply::Queried(answers));
                    return self.remove(runs, run_id);
                }
                let (closes, idle_period) = (completion.closes, self.owners.next_idle_period());
                if send(reply, JobReply::Completed { completion, answers, idle_period }) && !closes {
                    self.idle(runs, run_id, idle_period);
                } else {
                    self.remove(runs, run_id);
                }
            }
        }
    }

    /// Goes on with a task that waits for local activities, unless another task has taken its place.
    fn go_on(
        &self,
        runs: &mut CachedRuns,
        run_id: &Arc<str>,
        pause: IdlePeriod,
        news: LocalNews,
        reply: oneshot::Sender<JobReply>,
    ) {
        let is_it =
            |entry: &&mut CachedRun| matches!(entry.state, RunState::Working { pause: Some(it), .. } if it == pause);
        let Some(entry) = runs.entries.get_mut(run_id).filter(is_it) else {
            send(Some(reply), JobReply::Ended);
            return;
        };
        if let RunState::Working { reply: slot, pause, .. } = &mut entry.state {
            (*slot, *pause) = (Some(reply), None);
        }
        let step = self.guarded(run_id, entry, |run| match news {
            LocalNews::Ended(ended) => run.local_ended(ended),
            LocalNews::CompleteEarly => run.complete_early(),
        });
        self.stepped(runs, run_id, step);
    }

    fn undo(&self, runs: &mut CachedRuns, run_id: &Arc<str>, idle_period: IdlePeriod, undo: Undo) {
        let Some(entry) = runs.entries.get_mut(run_id) else { return };
        match (&entry.state, undo) {
            (RunState::Idle(since), Undo::Evict) if *since == idle_period => self.remove(runs, run_id),
            (RunState::Idle(since), Undo::Discard { last_started_event_id }) if *since == idle_period => {
                entry.run.discard_task(last_started_event_id);
            }
            _ => {}
        }
    }

    /// Marks a run as idle. Its waiting jobs can begin, and the least recently used runs are evicted.
    fn idle(&self, runs: &mut CachedRuns, run_id: &Arc<str>, idle_period: IdlePeriod) {
        let Some(entry) = runs.entries.get_mut(run_id) else { return };
        (entry.state, entry.idle_since, entry.listed) = (RunState::Idle(idle_period), Instant::now(), 0);
        runs.ready.extend(entry.waiting.drain(..).map(|(job, reply)| (run_id.clone(), job, reply)));
        runs.idle.insert(idle_period, run_id.clone());
        while runs.idle.len() > self.max_idle {
            let Some((_, oldest)) = runs.idle.pop_first() else { break };
            self.remove(runs, &oldest);
        }
    }

    /// Evicts a run. Its waiting jobs can begin.
    fn remove(&self, runs: &mut CachedRuns, run_id: &Arc<str>) {
        let Some(entry) = runs.entries.remove(run_id) else { return };
        if let RunState::Idle(since) = entry.state {
            runs.idle.remove(&since);
        }
        self.owners.release(run_id, self.seat);
        let CachedRun { run, workflow_type, waiting, .. } = entry;
        let last_line = run.last_line();
        if let Err(panic) = self.watched(run_id, workflow_type, last_line, || catch(|| drop(run))) {
            tracing::error!(%run_id, workflow_type, %panic, "a run could not be dropped");
        }
        runs.ready.extend(waiting.into_iter().map(|(job, reply)| (run_id.clone(), job, reply)));
    }

    fn answer(&self, run_id: &Arc<str>, entry: &CachedRun, queries: Vec<Query>) -> QueryAnswers {
        let answer = |query: Query| {
            let answer = entry.run.query(&query.name, &query.input, &query.headers);
            (query.id, answer)
        };
        let last_line = entry.run.last_line();
        let answers = || queries.into_iter().map(answer).collect();
        self.watched(run_id, entry.workflow_type, last_line, || entry.span.in_scope(answers))
    }

    /// Runs the next step of a run. A panic that the run does not catch, as in a waker of user code, fails the task.
    fn guarded(&self, run_id: &Arc<str>, entry: &mut CachedRun, step: impl FnOnce(&mut Run) -> Step) -> Step {
        let last_line = entry.run.last_line();
        let CachedRun { run, span, .. } = entry;
        self.watched(run_id, entry.workflow_type, last_line, || {
            let step = || catch(|| step(run)).unwrap_or_else(|panic| Step::Failed(TaskFailure::Panic(panic)));
            span.in_scope(step)
        })
    }

    /// Executes workflow code, and records the start for the watchdog.
    fn watched<R>(
        &self,
        run_id: &Arc<str>,
        workflow_type: &'static str,
        last_line: LastLine,
        code: impl FnOnce() -> R,
    ) -> R {
        let running =
            RunningCode { run_id: run_id.clone(), workflow_type, since: Instant::now(), last_line, warned: false };
        *lock(&self.running) = Some(running);
        let result = code();
        *lock(&self.running) = None;
        result
    }
}

/// Whether a cached run has processed exactly the history before this job.
fn fits(run: &Run, job: &WorkflowJob) -> bool {
    let last_is_right = run.last_started_event_id() == job.previous_started_event_id;
    let first_is_right = job.events.first().is_some_and(|event| event.event_id == run.next_event_id());
    last_is_right && (first_is_right || !job.completes_task)
}

/// Sends the reply to a job. Returns false if its receiver is gone.
fn send(reply: Option<oneshot::Sender<JobReply>>, answer: JobReply) -> bool {
    reply.is_some_and(|reply| reply.send(answer).is_ok())
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests;
