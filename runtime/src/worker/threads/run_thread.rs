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
use crate::worker::jobs::{IdlePeriod, Job, JobReply, Query, QueryAnswers, Undo, WorkflowJob};
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
            Some(Job::NoPage { run_id }) => {
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
                // A run executes one task at a time; its queries wait as well.
                RunState::Working { .. } => return entry.waiting.push_back((job, reply)),
            }
            if !fits(&entry.run, &job) {
                self.remove(runs, run_id);
            }
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
        let working = RunState::Working { task, queries, reply: Some(reply) };
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
        let RunState::Working { task, queries, reply } = &mut entry.state else { return };
        let task = *task;
        match step {
            Step::Yielded => runs.yielded.push_back(run_id.clone()),
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
                let headers = entry.run.headers();
                if task.is_none() {
                    // The history of a query included a task of another poll: the run must not keep the state of that task.
                    send(reply, JobReply::Queried(answers));
                    return self.remove(runs, run_id);
                }
                let (closes, idle_period) = (completion.closes, self.owners.next_idle_period());
                if send(reply, JobReply::Completed { completion, answers, headers, idle_period }) && !closes {
                    self.idle(runs, run_id, idle_period);
                } else {
                    self.remove(runs, run_id);
                }
            }
        }
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
            let answer = entry.run.query(&query.name, &query.input);
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
mod tests {
    use std::future::{Future, poll_fn};
    use std::rc::Rc;
    use std::task::{Context, Wake, Waker};
    use std::time::Duration;

    use everloop_proto::temporal::api::history::v1::{HistoryEvent, WorkflowTaskFailedEventAttributes};

    use super::super::{ThreadOptions, WorkflowThreads};
    use super::*;
    use crate::executor::install_hook;
    use crate::executor::tests::story::{RUN_ID, Story, run_options, workflow};
    use crate::workflow::sleep;

    /// A run with a thread of its own. It has two tasks: it sleeps, and ends.
    struct Bench {
        threads: WorkflowThreads,
        run_id: Arc<str>,
        story: Story,
    }

    impl Bench {
        fn new() -> Self {
            let script = workflow(|_: Rc<()>| async {
                sleep(Duration::from_secs(60)).await?;
                Ok(1)
            });
            let mut story = script.query("answer", |()| 42).story();
            story.task();
            story.fire("1").task();
            Self::of(story)
        }

        fn of(story: Story) -> Self {
            install_hook();
            let options = ThreadOptions { threads: 1, max_cached: 10, deadlock_timeout: None, name: "test".to_owned() };
            Self { threads: WorkflowThreads::start(options).unwrap(), run_id: RUN_ID.into(), story }
        }

        fn work(&self, job: WorkflowJob) -> JobReply {
            let (reply, answer) = oneshot::channel();
            let thread = self.threads.of_run(&self.run_id).unwrap();
            thread.send(Job::Work { run_id: self.run_id.clone(), job: job.into(), reply });
            answer.blocking_recv().unwrap()
        }

        fn job(&self, first_event_id: usize, last_event_id: usize, previous_started_event_id: i64) -> WorkflowJob {
            WorkflowJob {
                definition: self.story.definition.clone(),
                options: run_options(),
                events: self.story.history[first_event_id - 1..last_event_id].to_vec(),
                more: false,
                updates: Vec::new(),
                previous_started_event_id,
                started_event_id: last_event_id as i64,
                completes_task: true,
                queries: Vec::new(),
            }
        }

        fn first_task(&self) -> IdlePeriod {
            match self.work(self.job(1, 3, 0)) {
                JobReply::Completed { idle_period, completion, .. } if !completion.closes => idle_period,
                _ => panic!("the first task starts a timer"),
            }
        }

        fn second_task(&self) -> JobReply {
            self.work(self.job(4, 8, 3))
        }

        fn query(&self) -> JobReply {
            let queries = vec![Query { id: String::new(), name: "answer".to_owned(), input: Vec::new() }];
            self.work(WorkflowJob { completes_task: false, queries, ..self.job(4, 4, 3) })
        }

        fn undo(&self, idle_period: IdlePeriod, undo: Undo) {
            self.threads.send(&self.run_id, Job::Undo { run_id: self.run_id.clone(), idle_period, undo });
        }
    }

    /// The server ended the task while its history was fetched, for example because too many events were buffered.
    #[test]
    fn task_that_the_server_has_ended_fails_nothing() {
        let bench = Bench::new();
        let mut job = bench.job(1, 8, 3);
        let failed =
            WorkflowTaskFailedEventAttributes { scheduled_event_id: 7, started_event_id: 8, ..Default::default() };
        job.events.push(HistoryEvent { event_id: 9, attributes: Some(failed.into()), ..Default::default() });
        assert!(matches!(bench.work(job), JobReply::Ended));
        let mut job = bench.job(1, 7, 3);
        job.started_event_id = 8;
        assert!(matches!(bench.work(job), JobReply::Failed(_)), "a history without the task is reported");
        assert!(matches!(bench.work(bench.job(1, 8, 3)), JobReply::Completed { .. }), "the run can be done again");
    }

    #[test]
    fn a_run_goes_on_from_its_answer_and_is_gone_when_it_has_closed() {
        let bench = Bench::new();
        bench.first_task();
        assert!(matches!(bench.second_task(), JobReply::Completed { completion, .. } if completion.closes));
        assert!(matches!(bench.query(), JobReply::CacheMiss));
    }

    #[test]
    fn a_turn_is_undone_unless_the_run_has_gone_on() {
        let bench = Bench::new();
        let idle_period = bench.first_task();
        bench.undo(idle_period, Undo::Evict);
        assert!(matches!(bench.second_task(), JobReply::CacheMiss));

        let bench = Bench::new();
        let idle_period = bench.first_task();
        assert!(
            matches!(bench.query(), JobReply::Queried(answers) if answers.iter().all(|(_, answer)| answer.is_ok()))
        );
        bench.undo(idle_period, Undo::Evict);
        bench.undo(idle_period, Undo::Discard { last_started_event_id: 0 });
        assert!(matches!(bench.second_task(), JobReply::Completed { .. }));
    }

    #[test]
    fn undo_of_an_evicted_run_does_nothing() {
        let bench = Bench::new();
        let idle_period = bench.first_task();
        bench.undo(idle_period, Undo::Evict);
        bench.undo(idle_period, Undo::Evict);
        bench.undo(idle_period, Undo::Discard { last_started_event_id: 0 });
        assert!(matches!(bench.second_task(), JobReply::CacheMiss));
        assert!(matches!(bench.work(bench.job(1, 8, 3)), JobReply::Completed { .. }), "all of history makes it anew");
    }

    /// Panics on drop, unless the thread is panicking already.
    #[derive(Default)]
    struct Grenade;

    impl Drop for Grenade {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("a field's destructor panics");
            }
        }
    }

    impl Wake for Grenade {
        fn wake(self: Arc<Self>) {
            std::mem::forget(self);
            panic!("a waker panics");
        }
    }

    #[test]
    fn a_destructor_that_panics_harms_no_other_run() {
        let script = workflow(|_: Rc<Grenade>| async {
            sleep(Duration::from_secs(60)).await?;
            Ok(1)
        });
        let mut story = script.story();
        story.history = story.offered();
        let bench = Bench::of(story);
        let idle_period = bench.first_task();
        bench.undo(idle_period, Undo::Evict);
        assert!(matches!(bench.work(bench.job(1, 3, 0)), JobReply::Completed { .. }), "the thread lives on");
    }

    #[test]
    fn a_waker_that_panics_fails_its_task_alone() {
        let script = workflow(|_: Rc<()>| async {
            let mut timer = Box::pin(sleep(Duration::from_secs(60)));
            let waker = Waker::from(Arc::new(Grenade));
            poll_fn(|_| timer.as_mut().poll(&mut Context::from_waker(&waker))).await?;
            Ok(1)
        });
        let mut story = script.story();
        story.task();
        story.fire("1");
        story.history = story.offered();
        let bench = Bench::of(story);
        bench.first_task();
        let JobReply::Failed(failure) = bench.second_task() else { panic!("it panics") };
        assert!(failure.to_string().contains("a waker panics"), "{failure}");
        bench.first_task();
    }
}
