//! Workflow threads: ordinary threads that own runs, which never move between threads.
//!
//! A thread takes jobs from a channel, keeps runs between them (it evicts the least recently used ones when there are too
//! many), and replies through a channel. It has no tokio context. If workflow code does not return, the worker abandons its
//! thread: another thread replaces it, and rebuilds the other runs by replay. The run whose code blocks is not executed
//! again before that code has returned, so each run blocks one thread at most.

mod cached_runs;
mod owners;
mod run_thread;
mod running_code;
mod thread;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use self::owners::RunOwners;
use self::run_thread::RunThread;
pub(super) use self::running_code::RunningCode;
use self::running_code::lock;
use self::thread::WorkflowThread;
use super::jobs::Job;
use super::logging::silent_on_replay;

/// The worker stops when more runs than this number per workflow thread block a thread each.
const BLOCKED_FOR_EACH: usize = 4;

/// All workflow threads of a worker.
pub(super) struct WorkflowThreads {
    owners: Arc<RunOwners>,
    options: ThreadOptions,
    slots: Mutex<Slots>,
}

#[derive(Debug, Clone)]
pub(super) struct ThreadOptions {
    pub(super) threads: usize,
    pub(super) max_cached: usize,
    /// `None` if threads are never abandoned.
    pub(super) deadlock_timeout: Option<Duration>,
    pub(super) name: String,
}

struct Slots {
    threads: Vec<WorkflowThread>,
    blocked: HashMap<Arc<str>, BlockedRun>,
}

/// A run whose code has not returned, with its abandoned thread.
struct BlockedRun {
    by: RunningCode,
    thread: Arc<Mutex<Option<RunningCode>>>,
}

/// The reason why a job has no thread.
#[derive(Debug)]
pub(super) enum Unavailable {
    /// The run's own code still blocks another thread.
    Blocked(RunningCode),
    /// A thread was abandoned, and the operating system did not create another one.
    NoThread,
}

impl WorkflowThreads {
    pub(super) fn start(options: ThreadOptions) -> std::io::Result<Self> {
        let owners = Arc::<RunOwners>::default();
        let threads: Result<_, _> = (0..options.threads).map(|slot| spawn(slot, &options, &owners)).collect();
        let slots = Mutex::new(Slots { threads: threads?, blocked: HashMap::new() });
        Ok(Self { owners, options, slots })
    }

    /// Returns the thread that owns a run. If none does, the least loaded one becomes its owner.
    pub(super) fn of_run(&self, run_id: &Arc<str>) -> Result<WorkflowThread, Unavailable> {
        let slots = lock(&self.slots);
        if let Some(blocked) = slots.blocked.get(run_id)
            && blocked.is_blocked()
        {
            return Err(Unavailable::Blocked(blocked.by.clone()));
        }
        let slot = self.owners.slot_or(run_id, || {
            let least = (0..slots.threads.len()).min_by_key(|slot| slots.threads[*slot].load.load(Ordering::Relaxed));
            least.unwrap_or_default()
        });
        let thread = &slots.threads[slot];
        if thread.lost.is_cancelled() {
            self.owners.forget(run_id);
            return Err(Unavailable::NoThread);
        }
        Ok(thread.clone())
    }

    /// Sends a job to the thread that owns a run, if there is one.
    pub(super) fn send(&self, run_id: &Arc<str>, job: Job) {
        let slots = lock(&self.slots);
        if let Some(slot) = self.owners.slot_of(run_id) {
            slots.threads[slot].send(job);
        }
    }

    /// All threads that have not been replaced.
    pub(super) fn all(&self) -> Vec<WorkflowThread> {
        lock(&self.slots).threads.clone()
    }

    /// Abandons threads whose workflow code has not returned in time, and starts others in their places.
    ///
    /// # Errors
    /// The number of runs that block a thread each, if there are too many.
    pub(super) fn give_up_stuck(&self) -> Result<(), usize> {
        let mut slots = lock(&self.slots);
        let Slots { threads, blocked } = &mut *slots;
        blocked.retain(|_, blocked| blocked.is_blocked());
        for (slot, thread) in threads.iter_mut().enumerate() {
            if let Some(limit) = self.options.deadlock_timeout
                && let Some(by) = thread.overdue(limit)
            {
                let known = BlockedRun { by: by.clone(), thread: thread.running.clone() };
                blocked.insert(by.run_id.clone(), known);
                thread.give_up(by);
            }
            // If the thread cannot be created, the next call tries again.
            if thread.lost.is_cancelled()
                && let Ok(next) = spawn(slot, &self.options, &self.owners)
            {
                *thread = next;
            }
        }
        let is_bearable = blocked.len() <= BLOCKED_FOR_EACH * self.options.threads;
        if is_bearable { Ok(()) } else { Err(blocked.len()) }
    }
}

impl BlockedRun {
    /// Whether the code has not returned yet.
    fn is_blocked(&self) -> bool {
        lock(&self.thread).as_ref().is_some_and(|now| now.run_id == self.by.run_id && now.since == self.by.since)
    }
}

fn spawn(slot: usize, options: &ThreadOptions, owners: &Arc<RunOwners>) -> std::io::Result<WorkflowThread> {
    let (jobs, inbox) = channel();
    let thread = WorkflowThread::new(jobs);
    let seat = owners.take_seat(slot);
    let runs = RunThread::new(seat, options.max_cached.div_ceil(options.threads), owners.clone(), &thread);
    let subscriber = silent_on_replay();
    let name = format!("{}-workflows-{slot}", options.name);
    std::thread::Builder::new()
        .name(name)
        .spawn(move || tracing::dispatcher::with_default(&subscriber, || runs.run(&inbox)))?;
    Ok(thread)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Condvar;

    use tokio::sync::oneshot;

    use super::super::jobs::{JobReply, WorkflowJob};
    use super::*;
    use crate::State;
    use crate::executor::tests::story::{Story, run_options, workflow};

    /// Blocks workflow code until the gate opens.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<bool>, Condvar)>);

    impl Gate {
        fn pass(&self) {
            let (is_open, opened) = &*self.0;
            drop(opened.wait_while(lock(is_open), |is_open| !*is_open));
        }

        fn open(&self) {
            *lock(&self.0.0) = true;
            self.0.1.notify_all();
        }
    }

    /// Opens the gate, so that no thread outlives the test.
    impl Drop for Gate {
        fn drop(&mut self) {
            if std::thread::panicking() {
                self.open();
            }
        }
    }

    fn threads() -> WorkflowThreads {
        let deadlock_timeout = Some(Duration::from_millis(20));
        WorkflowThreads::start(ThreadOptions { threads: 1, max_cached: 10, deadlock_timeout, name: "test".to_owned() })
            .unwrap()
    }

    /// A workflow that blocks in its first task.
    fn stuck(gate: &Gate) -> Story {
        let gate = gate.clone();
        let script = workflow(move |_: Rc<()>| {
            let gate = gate.clone();
            async move {
                State::new(1).set(2);
                gate.pass();
                Ok(1)
            }
        });
        script.story()
    }

    fn work(thread: &WorkflowThread, run_id: &Arc<str>, mut story: Story) -> oneshot::Receiver<JobReply> {
        let job = WorkflowJob {
            events: story.offered(),
            definition: story.definition,
            options: run_options(),
            more: false,
            updates: Vec::new(),
            previous_started_event_id: 0,
            started_event_id: 3,
            completes_task: true,
            queries: Vec::new(),
        };
        let (reply, answer) = oneshot::channel();
        thread.send(Job::Work { run_id: run_id.clone(), job: job.into(), reply });
        answer
    }

    /// Runs a blocking workflow until its thread is abandoned.
    fn block(threads: &WorkflowThreads, run_id: &Arc<str>, gate: &Gate) -> Result<(), usize> {
        let thread = threads.of_run(run_id).unwrap();
        let _never = work(&thread, run_id, stuck(gate));
        loop {
            let is_bearable = threads.give_up_stuck();
            if thread.lost.is_cancelled() {
                let code = thread.blamed(run_id).expect("it is this run's doing");
                assert!(code.at_line().contains("threads/mod.rs:"), "{}", code.at_line());
                return is_bearable;
            }
            std::thread::yield_now();
        }
    }

    fn completes(threads: &WorkflowThreads, run_id: &Arc<str>, story: Story) {
        let answer = work(&threads.of_run(run_id).unwrap(), run_id, story).blocking_recv();
        assert!(matches!(answer, Ok(JobReply::Completed { completion, .. }) if completion.closes));
    }

    #[test]
    fn a_run_that_blocks_takes_one_thread_however_often_it_is_tried() {
        let (threads, gate, run_id) = (threads(), Gate::default(), Arc::from("stuck"));
        let mut blocked = 0;
        for attempt in 0..10 {
            match threads.of_run(&run_id) {
                Ok(_) => {
                    blocked += 1;
                    assert_eq!(block(&threads, &run_id, &gate), Ok(()));
                }
                Err(Unavailable::Blocked(by)) => assert_eq!(by.run_id, run_id),
                Err(Unavailable::NoThread) => panic!("attempt {attempt} finds no thread"),
            }
            // Other workflows continue.
            let good = workflow(|_: Rc<()>| async { Ok(1) });
            completes(&threads, &Arc::from(format!("good {attempt}")), good.story());
        }
        assert_eq!(blocked, 1);
        gate.open();
        // After the code has returned, the task is retried.
        while threads.of_run(&run_id).is_err() {
            std::thread::yield_now();
        }
        completes(&threads, &run_id, stuck(&gate));
    }

    #[test]
    fn only_many_runs_that_block_end_the_worker() {
        let (threads, gate) = (threads(), Gate::default());
        let outcomes: Vec<_> =
            (0..=BLOCKED_FOR_EACH).map(|run| block(&threads, &Arc::from(format!("run {run}")), &gate)).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), BLOCKED_FOR_EACH);
        assert_eq!(outcomes.last(), Some(&Err(BLOCKED_FOR_EACH + 1)));
        gate.open();
        while threads.give_up_stuck().is_err() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_run_that_was_never_there_is_not_remembered() {
        let (threads, run_id) = (threads(), Arc::from("run"));
        let mut story = workflow(|_: Rc<()>| async { Ok(1) }).story();
        // As with a task of the sticky queue whose run was evicted, and whose history cannot be fetched.
        story.task();
        story.signal("none", 1);
        let partial = story.offered().split_off(3);
        let (reply, answer) = oneshot::channel();
        let job = WorkflowJob {
            events: partial,
            definition: story.definition,
            options: run_options(),
            more: false,
            updates: Vec::new(),
            previous_started_event_id: 3,
            started_event_id: 8,
            completes_task: true,
            queries: Vec::new(),
        };
        threads.of_run(&run_id).unwrap().send(Job::Work { run_id: run_id.clone(), job: job.into(), reply });
        assert!(matches!(answer.blocking_recv(), Ok(JobReply::CacheMiss)));
        assert_eq!(threads.owners.slot_of(&run_id), None);
    }
}
