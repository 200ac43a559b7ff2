//! The cache under random load: one thread, driven by hand, and a scripted server that knows the correct response to each
//! task.
//!
//! The server delivers the tasks of several runs with the whole history or with new events, in pages or at once, some of them
//! twice. It loses responses, rejects them, discards tasks, and delivers some to other workers. Clients send queries in
//! between, and pages are lost. In all cases, the response to a task equals the result of a replay of its whole history.
//!
//! The message of a failed test has its seed. To run only that seed:
//!
//! ```text
//! EVERLOOP_TEST_SEED=17 cargo test -p everloop --lib run_thread::model
//! ```

use std::cell::Cell;
use std::rc::Rc;

use everloop_proto::temporal::api::enums::v1::EventType;
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as Event;

use super::*;
use crate::data::Headers;
use crate::executor::tests::story::{Story, run_options, workflow};
use crate::executor::{Completion, Definition, Update};
use crate::prelude::{Duration, WorkflowError};
use crate::workflow::sleep;

const RUNS: usize = 4;
/// Less than the number of runs, so that some are evicted.
const MAX_IDLE: usize = 2;
const TICKS: usize = 8;
/// The number of pollers.
const CALLS: usize = 10;
const TICK: Duration = Duration::from_secs(60);

#[test]
fn every_job_has_the_answer_that_a_replay_gives() {
    let seed = std::env::var("EVERLOOP_TEST_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
    for seed in seed.map_or(1..=40, |seed| seed..=seed) {
        let outcome = std::panic::catch_unwind(|| World::new(seed).play());
        assert!(outcome.is_ok(), "that was EVERLOOP_TEST_SEED={seed}");
    }
}

/// A task of the server, with its correct outcome.
struct Offer {
    /// All events up to the task's WorkflowTaskStarted.
    history: Vec<HistoryEvent>,
    updates: Vec<Update>,
    /// The WorkflowTaskStarted event of the last completed task.
    previous_started_event_id: i64,
    completion: Completion,
    /// The query's result before the task, after it, and after it without its updates.
    total: [u32; 3],
    fate: Fate,
}

/// The server's reaction to the completion of a task.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Taken,
    /// The task has timed out meanwhile, and history contains the timeout.
    Late,
    /// The task only rejected updates, and history will not contain it.
    Forgotten,
}

/// A run on the server.
struct Served {
    run_id: Arc<str>,
    definition: Arc<dyn Definition>,
    offers: Vec<Offer>,
    /// The number of the current or next task.
    next: usize,
    /// The call whose response the server would accept.
    token: Option<u64>,
}

/// A call of a poller that waits for its reply.
struct Call {
    run: usize,
    offer: usize,
    token: u64,
    is_task: bool,
    /// Whether the task contained the whole history.
    is_whole: bool,
    /// Whether the last page was lost.
    is_cut: bool,
    pages: VecDeque<Vec<HistoryEvent>>,
    answer: oneshot::Receiver<JobReply>,
}

struct World {
    numbers: Numbers,
    thread: RunThread,
    runs: CachedRuns,
    inbox: VecDeque<Job>,
    served: Vec<Served>,
    calls: Vec<Call>,
    /// Jobs that the cache receives later.
    undos: Vec<Job>,
    tokens: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        let owners = Arc::<RunOwners>::default();
        let thread = RunThread {
            seat: owners.take_seat(0),
            max_idle: MAX_IDLE,
            owners,
            load: Arc::default(),
            running: Arc::default(),
            lost: CancellationToken::new(),
        };
        let served = (0..RUNS).map(|run| Served::new(run, &mut numbers)).collect();
        let (runs, inbox, calls, undos) = Default::default();
        Self { numbers, thread, runs, inbox, served, calls, undos, tokens: 0 }
    }

    fn play(mut self) {
        let mut steps = 0;
        while self.served.iter().any(|run| run.next < run.offers.len()) {
            match self.numbers.below(12) {
                0..=3 => self.advance(),
                4..=6 => self.react(),
                7..=8 if self.calls.len() < CALLS => self.offer(),
                9..=10 if self.calls.len() < CALLS => self.ask(),
                _ => self.tell(),
            }
            steps += 1;
            assert!(steps < 200_000, "the runs come to no end");
        }
        while !(self.inbox.is_empty() && self.undos.is_empty() && self.calls.is_empty() && self.runs.is_waiting()) {
            self.tell();
            self.advance();
            self.react();
            steps += 1;
            assert!(steps < 400_000, "{} calls have no answer", self.calls.len());
        }
        assert_eq!(self.runs.idle.len(), self.runs.entries.len(), "nothing is under way");
    }

    /// Lets the thread take its next job.
    fn advance(&mut self) {
        let job = self.inbox.pop_front();
        self.thread.advance(&mut self.runs, job);
        let CachedRuns { entries, idle, .. } = &self.runs;
        assert!(idle.len() <= MAX_IDLE, "{} runs are idle", idle.len());
        for (idle_period, run_id) in idle {
            assert!(matches!(entries[run_id].state, RunState::Idle(since) if since == *idle_period));
        }
        let at_rest = entries.values().filter(|entry| matches!(entry.state, RunState::Idle(_)));
        assert_eq!(at_rest.count(), idle.len());
    }

    /// Delivers a task, for the first time or because it has timed out.
    fn offer(&mut self) {
        let (run, whole, elsewhere) = (self.numbers.below(RUNS), self.numbers.one_in(3), self.numbers.one_in(6));
        let served = &mut self.served[run];
        let Some(offer) = served.offers.get(served.next) else { return };
        if served.token.is_some() && !self.numbers.one_in(8) {
            return;
        }
        if elsewhere {
            // Another worker completes the task.
            (served.next, served.token) = (served.next + 1, None);
            return;
        }
        self.tokens += 1;
        served.token = Some(self.tokens);
        let known = if whole { 0 } else { offer.previous_started_event_id };
        let (next, events) = (served.next, offer.history[known as usize..].to_vec());
        self.call(run, next, self.tokens, true, events);
    }

    /// Delivers a query.
    fn ask(&mut self) {
        let run = self.numbers.below(RUNS);
        let served = &self.served[run];
        let Some(offer) = served.offers.get(served.next).filter(|offer| offer.previous_started_event_id > 0) else {
            return;
        };
        let known = if self.numbers.one_in(3) { 0 } else { offer.previous_started_event_id as usize };
        // History may have the start of a task that another worker executes.
        let seen = offer.history.len() - if self.numbers.one_in(3) { 0 } else { 2 };
        let (next, events) = (served.next, offer.history[known..seen].to_vec());
        self.call(run, next, 0, false, events);
    }

    fn call(&mut self, run: usize, offer: usize, token: u64, is_task: bool, events: Vec<HistoryEvent>) {
        let is_whole = events.first().is_some_and(|event| event.event_id == 1);
        let mut pages = VecDeque::from([events]);
        while self.numbers.one_in(2) {
            let page = pages.pop_back().unwrap_or_default();
            let (one, other) = page.split_at(self.numbers.below(page.len() + 1));
            // Neither the first nor the last page is empty.
            if one.is_empty() && pages.is_empty() || other.is_empty() {
                pages.push_back(page);
                break;
            }
            pages.extend([one.to_vec(), other.to_vec()]);
        }
        let is_cut = pages.len() > 1 && is_task && self.numbers.one_in(8) && {
            let last = pages.pop_back();
            // A query that is cut at the start of an earlier task would be that task.
            let starts_task = pages.back().and_then(|page| page.last()).is_none_or(starts_task);
            if starts_task {
                pages.extend(last);
            }
            !starts_task
        };
        let served = &self.served[run];
        let is_asked = !is_task || self.numbers.one_in(3);
        let queries = is_asked.then(|| Query {
            id: "asked".into(),
            name: "total".into(),
            input: Vec::new(),
            headers: Headers::new(),
        });
        let now = &served.offers[offer];
        let events = pages.pop_front().unwrap_or_default();
        let job = WorkflowJob {
            definition: served.definition.clone(),
            options: run_options(),
            events,
            more: !pages.is_empty(),
            updates: if is_task && !is_cut { now.updates.clone() } else { Vec::new() },
            previous_started_event_id: now.previous_started_event_id,
            started_event_id: now.history.len() as i64,
            completes_task: is_task,
            queries: queries.into_iter().collect(),
        };
        let (reply, answer) = oneshot::channel();
        self.inbox.push_back(Job::Work { run_id: served.run_id.clone(), job: job.into(), reply });
        self.calls.push(Call { run, offer, token, is_task, is_whole, is_cut, pages, answer });
    }

    /// Handles the reply to a poller.
    fn react(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let at = self.numbers.below(self.calls.len());
        let answer = match self.calls[at].answer.try_recv() {
            Ok(answer) => answer,
            Err(oneshot::error::TryRecvError::Empty) => return,
            Err(error) => panic!("a job was dropped: {error}"),
        };
        let mut call = self.calls.swap_remove(at);
        let served = &mut self.served[call.run];
        let offer = &served.offers[call.offer];
        let run_id = served.run_id.clone();
        let is_wanted = served.token == Some(call.token) && call.is_task;
        match answer {
            JobReply::NeedHistory => match call.pages.pop_front() {
                Some(events) if !self.numbers.one_in(20) => {
                    let (reply, answer) = oneshot::channel();
                    call.answer = answer;
                    self.inbox.push_back(Job::Page { run_id, events, more: !call.pages.is_empty(), reply });
                    self.calls.push(call);
                }
                Some(_) => {
                    self.inbox.push_back(Job::GiveUp { run_id });
                    if is_wanted {
                        served.token = None;
                    }
                }
                None => panic!("there is no page after the last one"),
            },
            JobReply::CacheMiss => {
                assert!(!call.is_whole, "all of history makes a run anew");
                let events = offer.history.clone();
                self.call(call.run, call.offer, call.token, call.is_task, events);
            }
            JobReply::Queried(answers) => {
                assert!(!call.is_task, "a task was answered as if it were a query");
                let [before, _, after] = offer.total;
                let total = total(answers);
                assert!(total == before || total == after, "{total} in place of {before} or {after}");
            }
            JobReply::Completed { completion, answers, idle_period, .. } => {
                assert!(call.is_task);
                if !call.is_cut {
                    assert_eq!(completion, offer.completion, "task {} of run {}", call.offer, call.run);
                    assert!(answers.is_empty() || total(answers) == offer.total[1]);
                }
                let undo = |undo| Job::Undo { run_id, idle_period, undo };
                if !is_wanted || call.is_cut {
                    self.undos.push(undo(Undo::Evict));
                    return;
                }
                served.token = None;
                match offer.fate {
                    Fate::Taken | Fate::Forgotten if self.numbers.one_in(6) => {
                        // The connection breaks before or after the server has received the response.
                        served.next += self.numbers.below(2);
                        self.undos.push(undo(Undo::Evict));
                    }
                    Fate::Taken => served.next += 1,
                    Fate::Late => {
                        served.next += 1;
                        self.undos.push(undo(Undo::Evict));
                    }
                    Fate::Forgotten => {
                        served.next += 1;
                        let last_started_event_id = offer.previous_started_event_id;
                        self.undos.push(undo(Undo::Discard { last_started_event_id }));
                    }
                }
            }
            JobReply::WaitsForLocal { .. } => panic!("no workflow here calls a local activity"),
            JobReply::Ended => panic!("this history ends with its task"),
            JobReply::Failed(failure) => {
                assert!(call.is_cut, "task {} of run {} failed: {failure}", call.offer, call.run);
                if is_wanted {
                    served.token = None;
                }
            }
        }
    }

    /// Reports to the cache that the server has not accepted a response.
    fn tell(&mut self) {
        if !self.undos.is_empty() {
            let at = self.numbers.below(self.undos.len());
            self.inbox.push_back(self.undos.swap_remove(at));
        }
    }
}

fn total(answers: QueryAnswers) -> u32 {
    let [(_, Ok(answer))] = &answers[..] else { panic!("one query was asked, and is answered") };
    crate::data::decode(answer).unwrap()
}

fn starts_task(event: &HistoryEvent) -> bool {
    event.event_type == EventType::WorkflowTaskStarted as i32
}

impl Served {
    /// Creates a run that has not started.
    fn new(run: usize, numbers: &mut Numbers) -> Self {
        let ticks = numbers.below(TICKS);
        let mut story = story(ticks);
        let (mut offers, mut previous, mut total_before) = (Vec::new(), 0, 0);
        let mut completed_length = 0;
        while !story.is_closed() {
            let id = offers.len();
            let mut fate = if numbers.one_in(5) { Fate::Late } else { Fate::Taken };
            if previous > 0 && story.history.len() == completed_length && numbers.one_in(4) {
                fate = Fate::Forgotten;
                story.updates.clear();
                story.update(&format!("update-{id}"), "set", 0);
            } else {
                add_inputs(&mut story, id, numbers);
            }
            let (history, updates) = (story.offered(), story.updates.clone());
            let replayed = |updates: &[Update]| {
                let mut run = Run::new(story.definition.clone(), run_options());
                let mut step = run.begin(Task { events: history.clone(), more: false, updates: updates.to_vec() });
                while let Step::Yielded = step {
                    step = run.resume();
                }
                let Step::Complete(completion) = step else { panic!("a replay ends with {step:?}") };
                (completion, crate::data::decode(&run.query("total", &[], &Headers::new()).unwrap()).unwrap())
            };
            let ((completion, after), (_, without_updates)) = (replayed(&updates), replayed(&[]));
            match fate {
                Fate::Taken => drop(story.task()),
                Fate::Late => drop(story.lose_task()),
                Fate::Forgotten => drop(story.forgotten_task()),
            }
            let started_event_id = history.len() as i64;
            let total = [total_before, after, without_updates];
            offers.push(Offer { history, updates, previous_started_event_id: previous, completion, total, fate });
            if fate == Fate::Taken {
                (previous, total_before, completed_length) = (started_event_id, after, story.history.len());
            }
        }
        Self { run_id: format!("run-{run}").into(), definition: story.definition, offers, next: 0, token: None }
    }
}

/// Adds random events that the next task delivers.
fn add_inputs(story: &mut Story, id: usize, numbers: &mut Numbers) {
    for _ in 0..numbers.below(4) {
        match numbers.below(4) {
            0 => drop(story.update(&format!("update-{id}-{}", story.updates.len()), "set", numbers.below(3) as u32)),
            1 => {
                if let Some(timer_id) = running_tick(&story.history) {
                    story.fire(&timer_id);
                }
            }
            _ => drop(story.signal("add", numbers.below(9) as u32)),
        }
    }
}

fn running_tick(history: &[HistoryEvent]) -> Option<String> {
    let mut ticks = history.iter().filter_map(|event| match &event.attributes {
        Some(Event::TimerStartedEventAttributes(timer)) if timer.start_to_fire_timeout == TICK.try_into().ok() => {
            Some(&timer.timer_id)
        }
        _ => None,
    });
    let has_fired = |timer_id: &&String| {
        history.iter().any(|event| {
            matches!(&event.attributes, Some(Event::TimerFiredEventAttributes(fired)) if fired.timer_id == **timer_id)
        })
    };
    ticks.next_back().filter(|timer_id| !has_fired(timer_id)).cloned()
}

#[derive(Default)]
struct Ledger {
    total: Cell<u32>,
}

impl Ledger {
    fn add(&self, n: u32) {
        self.total.set(self.total.get().wrapping_mul(31).wrapping_add(n + 1));
    }
}

/// A workflow whose total, and with it its commands, depends on the order of signals and updates.
fn story(ticks: usize) -> Story {
    let script = workflow(move |ledger: Rc<Ledger>| async move {
        for _ in 0..ticks {
            sleep(TICK).await?;
            ledger.add(100);
        }
        Ok(ledger.total.get())
    });
    let script = script.signal("add", |ledger: Rc<Ledger>, n| async move {
        ledger.add(n);
        if ledger.total.get().is_multiple_of(3) {
            sleep(Duration::from_secs(n.into())).await?;
        }
        Ok(())
    });
    let refuse_none = |_: &Ledger, n| if n == 0 { Err(WorkflowError::new("nothing is set")) } else { Ok(()) };
    let script = script.update("set", refuse_none, |ledger: Rc<Ledger>, n| async move {
        ledger.add(n);
        Ok(n)
    });
    script.query("total", |ledger: &Ledger| ledger.total.get()).story()
}

/// Random numbers from a seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}
