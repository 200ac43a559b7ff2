//! The loop of a workflow thread, with one run.

use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use everloop_proto::temporal::api::history::v1::{HistoryEvent, WorkflowTaskFailedEventAttributes};

use super::super::{ThreadOptions, WorkflowThreads};
use super::*;
use crate::executor::tests::story::{RUN_ID, Story, run_options, work, workflow};
use crate::executor::{EndedAt, LocalEnded, install_hook};
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
        let queries = vec![Query {
            id: String::new(),
            name: "answer".to_owned(),
            input: Vec::new(),
            headers: Default::default(),
        }];
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
    let failed = WorkflowTaskFailedEventAttributes { scheduled_event_id: 7, started_event_id: 8, ..Default::default() };
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
    assert!(matches!(bench.query(), JobReply::Queried(answers) if answers.iter().all(|(_, answer)| answer.is_ok())));
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

/// A worker that did not complete its task in time gets the next one while its local activity still runs.
#[test]
fn paused_task_gives_way_to_the_task_after_it() {
    let script = workflow(|_: Rc<()>| async { Ok(work(1).local().await?) });
    let mut story = script.story();
    story.history = story.offered();
    let bench = Bench::of(story);
    let paused = |reply| match reply {
        JobReply::WaitsForLocal { pause, requests, .. } => (pause, requests.len()),
        _ => panic!("it waits for its local activity"),
    };
    let go_on = |pause| {
        let (reply, answer) = oneshot::channel();
        let result = Ok(Some(crate::data::encode(&7).unwrap()));
        let at = EndedAt::After(Duration::from_secs(1));
        let ended = LocalEnded { seq: 1, attempt: 1, result, backoff: None, at };
        let news = LocalNews::Ended(vec![ended]);
        bench.threads.send(&bench.run_id, Job::GoOn { run_id: bench.run_id.clone(), pause, news, reply });
        answer.blocking_recv().unwrap()
    };
    let (lost, _) = paused(bench.work(bench.job(1, 3, 0)));
    let (pause, requests) = paused(bench.work(bench.job(1, 3, 0)));
    assert_eq!(requests, 1, "the activity begins anew");
    assert!(matches!(go_on(lost), JobReply::Ended), "the result of the lost task is dropped");
    assert!(matches!(go_on(pause), JobReply::Completed { completion, .. } if completion.closes));
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
