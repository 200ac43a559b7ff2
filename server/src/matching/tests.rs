//! Queues as their workers and the engine use them.

use super::queues::QUEUES_MIN;
use super::*;
use crate::clock::{Clock, ClockMode};

fn key(kind: QueueKind) -> QueueKey {
    QueueKey { namespace: NamespaceKey(1), kind, name: "q".into() }
}

fn matching() -> Arc<Matching<u32>> {
    Arc::new(Matching::new(Arc::new(Timers::new(Arc::new(Clock::new(ClockMode::Skipping, NOW))))))
}

const NOW: Time = Time::from_nanos(0);
const WORKER: PolledBy<'static> = PolledBy { identity: "w", worker: "key", tasks_per_second: None };

/// A task that no worker would get.
const STALE: u32 = 10;

/// Tasks that left a worker's own queue.
static LEFT: Mutex<Vec<u32>> = Mutex::new(Vec::new());

impl QueuedTask for u32 {
    fn leave_sticky_queue(self, _: &QueueKey) {
        LEFT.lock().unwrap().push(self);
    }

    fn is_stale(&self) -> bool {
        *self == STALE
    }
}

fn left(task: u32) -> bool {
    LEFT.lock().unwrap().contains(&task)
}

fn line(matching: &Arc<Matching<u32>>, key: &QueueKey) -> Waiting<u32> {
    let Poll::Waiting(waiting) = matching.poll(key, WORKER, NOW) else { panic!("no task waits") };
    waiting
}

#[tokio::test]
async fn tasks_wait_for_workers_and_workers_for_tasks() {
    let matching = matching();
    let key = key(QueueKind::Workflow);
    matching.offer(&key, 1);
    matching.offer(&key, 2);
    let Poll::Ready(first) = matching.poll(&key, WORKER, NOW) else { panic!("a task waits") };
    assert_eq!((first.task, first.backlog), (1, 1));
    let Poll::Ready(second) = matching.poll(&key, WORKER, NOW) else { panic!("a task waits") };
    assert_eq!(second.task, 2);
    let Poll::Waiting(waiting) = matching.poll(&key, WORKER, NOW) else { panic!("no task waits") };
    matching.offer(&key, 3);
    assert_eq!(waiting.await.unwrap().task, 3);
}

#[tokio::test]
async fn a_task_for_a_worker_that_has_gone_goes_to_the_next() {
    let matching = matching();
    let key = key(QueueKind::Workflow);
    let Poll::Waiting(gone) = matching.poll(&key, WORKER, NOW) else { panic!("no task waits") };
    drop(gone);
    let Poll::Waiting(late) = matching.poll(&key, WORKER, NOW) else { panic!("no task waits") };
    matching.offer(&key, 1);
    // Delivered, but not taken.
    drop(late);
    let Poll::Ready(again) = matching.poll(&key, WORKER, NOW) else { panic!("the task is back") };
    assert_eq!(again.task, 1);
}

#[tokio::test]
async fn a_queue_without_worker_refuses_sticky_tasks() {
    let matching = matching();
    let key = key(QueueKind::Sticky);
    assert_eq!(matching.offer_sticky(&key, 1), Err(1));
    let Poll::Waiting(waiting) = matching.poll(&key, WORKER, NOW) else { panic!("no task waits") };
    assert_eq!(matching.offer_sticky(&key, 2), Ok(()));
    assert_eq!(waiting.await.unwrap().task, 2);
    matching.offer_sticky(&key, 3).unwrap();
    matching.shut_down(key.namespace, "", Some(&key));
    assert!(left(3));
    assert_eq!(matching.offer_sticky(&key, 4), Err(4));
}

#[tokio::test]
async fn shutdown_of_a_worker_ends_its_open_polls_and_those_that_arrive_later() {
    let matching = matching();
    let sticky = key(QueueKind::Sticky);
    let normal = key(QueueKind::Workflow);
    let Poll::Waiting(other) = matching.poll(&normal, PolledBy { worker: "other", ..WORKER }, NOW) else {
        panic!("no task waits")
    };
    let polls = [line(&matching, &sticky), line(&matching, &normal), line(&matching, &key(QueueKind::Activity))];
    matching.shut_down(normal.namespace, WORKER.worker, Some(&sticky));
    for poll in polls {
        assert!(poll.await.is_none(), "it ends without a task");
    }
    assert!(matches!(matching.poll(&normal, WORKER, NOW), Poll::Gone));
    assert!(matches!(matching.poll(&sticky, WORKER, NOW), Poll::Gone));
    assert_eq!(matching.offer_sticky(&sticky, 11), Err(11));
    matching.offer(&normal, 12);
    assert_eq!(other.await.unwrap().task, 12, "another worker's poll stays open");
}

#[tokio::test]
async fn a_task_that_a_gone_worker_did_not_take_leaves_its_sticky_queue() {
    let matching = matching();
    let key = key(QueueKind::Sticky);
    let delivered = line(&matching, &key);
    let second = line(&matching, &key);
    matching.offer_sticky(&key, 21).unwrap();
    drop(delivered);
    assert_eq!(second.await.unwrap().task, 21, "the worker's other poll takes it");
    let last = line(&matching, &key);
    matching.offer_sticky(&key, 22).unwrap();
    drop(last);
    assert!(left(22), "nobody else polls there");
}

#[test]
fn a_task_on_its_way_is_a_holder_and_a_waiting_one_for_a_moment() {
    let matching = matching();
    let key = key(QueueKind::Activity);
    matching.offer(&key, 1);
    assert!(matching.holds_for().is_some());
    assert!(matching.timers.is_settled());
    let Poll::Ready(matched) = matching.poll(&key, WORKER, NOW) else { panic!("a task waits") };
    assert!(!matching.timers.is_settled() && matching.holds_for().is_none());
    drop(matched);
    assert!(matching.timers.is_settled());
}

/// A worker that takes at most that many tasks a second.
fn limited(tasks_per_second: f64) -> PolledBy<'static> {
    PolledBy { tasks_per_second: Some(tasks_per_second), ..WORKER }
}

#[tokio::test]
async fn a_worker_waits_for_a_task_that_the_limit_holds_back() {
    let matching = matching();
    let key = key(QueueKind::Activity);
    matching.offer(&key, 1);
    matching.offer(&key, 2);
    let Poll::Ready(first) = matching.poll(&key, limited(20.0), NOW) else { panic!("the first second's go") };
    assert_eq!(first.task, 1);
    let Poll::Ready(second) = matching.poll(&key, limited(20.0), NOW) else { panic!("the first second's go") };
    assert_eq!(second.task, 2);

    // Another limit: the next task has to wait now, and goes by itself.
    matching.offer(&key, 3);
    let Poll::Waiting(waiting) = matching.poll(&key, limited(1.0), NOW) else { panic!("the limit holds it back") };
    let held = matching.describe(&key);
    assert_eq!((held.backlog, held.tasks_per_second, held.is_throttled), (1, Some(1.0), true));
    assert!(matching.holds_for().unwrap() > Duration::ZERO, "a skipping clock waits for it");
    assert_eq!(waiting.task().await.unwrap().task, 3);
}

#[tokio::test]
async fn a_raised_limit_hands_out_at_once_what_the_lower_one_held_back() {
    let matching = matching();
    let key = key(QueueKind::Activity);
    let Poll::Waiting(stopped) = matching.poll(&key, limited(0.0), NOW) else { panic!("no task waits") };
    matching.offer(&key, 1);
    assert_eq!(matching.describe(&key).backlog, 1, "a limit of zero stops the queue");
    let Poll::Waiting(_next) = matching.poll(&key, WORKER, NOW) else { panic!("the first in the line has it") };
    assert_eq!(stopped.task().await.unwrap().task, 1);
}

#[tokio::test]
async fn a_task_that_nobody_took_does_not_count_for_the_limit() {
    let matching = matching();
    let key = key(QueueKind::Activity);
    let one_in_an_hour = limited(1.0 / 3600.0);
    let Poll::Waiting(gone) = matching.poll(&key, one_in_an_hour, NOW) else { panic!("no task waits") };
    matching.offer(&key, 1);
    drop(gone);
    let Poll::Ready(stale) = matching.poll(&key, one_in_an_hour, NOW) else { panic!("the task is back") };
    assert_eq!(stale.task, 1);
    matching.offer(&key, 2);
    let Poll::Waiting(waiting) = matching.poll(&key, one_in_an_hour, NOW) else { panic!("the limit holds it back") };
    matching.uncount(&key);
    assert_eq!(waiting.task().await.unwrap().task, 2);
}

#[test]
fn queues_that_nobody_uses_are_dropped() {
    let matching = matching();
    let named = |kind, name: String| QueueKey { namespace: NamespaceKey(1), kind, name: name.into() };
    let _worker = line(&matching, &named(QueueKind::Workflow, "served".to_owned()));
    matching.offer(&named(QueueKind::Workflow, "waited for".to_owned()), 1);
    matching.queues().kept_for = Duration::ZERO;
    for number in 0..20_000 {
        let key = named(QueueKind::Sticky, number.to_string());
        drop(line(&matching, &key));
        matching.offer_sticky(&key, 1).unwrap();
        assert!(matching.queues().by_key.len() <= QUEUES_MIN, "after {number}");
    }
    let queues = matching.queues();
    let is_there = |name: &str| queues.by_key.contains_key(&named(QueueKind::Workflow, name.to_owned()));
    assert!(is_there("served") && is_there("waited for"));
}

#[test]
fn tasks_that_no_worker_would_get_are_dropped_from_a_queue_nobody_polls() {
    let matching = matching();
    let key = key(QueueKind::Activity);
    for number in 0..100_000 {
        // A hundred are still to be had.
        matching.offer(&key, if number % 1000 == 1 { 1 } else { STALE });
        assert!(matching.queues().by_key[&key].tasks.len() <= TASKS_MIN, "after {number}");
    }
    matching.withdraw(&key, |task| *task == STALE);
    assert_eq!(matching.describe(&key).backlog, 100);
}
