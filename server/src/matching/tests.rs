//! Queues as their workers and the engine use them.

use super::poll::{Poll, Waiting};
use super::queue::TASKS_MIN;
use super::queues::QUEUES_MIN;
use super::*;
use crate::clock::{Clock, ClockMode};
use crate::engine::time::Time;

fn key(kind: QueueKind) -> QueueKey {
    QueueKey { namespace: NamespaceKey(1), kind, name: "q".into() }
}

fn matching() -> Arc<Matching<u32>> {
    Arc::new(Matching::new(Arc::new(Timers::new(Arc::new(Clock::new(ClockMode::Skipping, NOW))))))
}

const NOW: Time = Time::from_nanos(0);
const WORKER: PolledBy<'static> = PolledBy { identity: "w", worker: "key", tasks_per_second: None };

/// A task that counts as stale.
const STALE: u32 = 10;

/// Tasks that left a sticky queue.
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

fn wait(matching: &Arc<Matching<u32>>, key: &QueueKey) -> Waiting<u32> {
    let Poll::Waiting(waiting) = matching.poll(key, WORKER, NOW) else { panic!("no task waits") };
    waiting
}

#[tokio::test]
async fn tasks_wait_for_polls_and_polls_for_tasks() {
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
async fn a_task_of_a_dropped_poll_is_delivered_to_the_next_one() {
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
async fn a_sticky_queue_without_worker_rejects_tasks() {
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
    let polls = [wait(&matching, &sticky), wait(&matching, &normal), wait(&matching, &key(QueueKind::Activity))];
    matching.shut_down(normal.namespace, WORKER.worker, Some(&sticky));
    for poll in polls {
        assert!(poll.await.is_none(), "the poll ends without a task");
    }
    assert!(matches!(matching.poll(&normal, WORKER, NOW), Poll::Gone));
    assert!(matches!(matching.poll(&sticky, WORKER, NOW), Poll::Gone));
    assert_eq!(matching.offer_sticky(&sticky, 11), Err(11));
    matching.offer(&normal, 12);
    assert_eq!(other.await.unwrap().task, 12, "another worker's poll stays open");
}

#[tokio::test]
async fn a_task_of_the_last_dropped_poll_leaves_its_sticky_queue() {
    let matching = matching();
    let key = key(QueueKind::Sticky);
    let delivered = wait(&matching, &key);
    let second = wait(&matching, &key);
    matching.offer_sticky(&key, 21).unwrap();
    drop(delivered);
    assert_eq!(second.await.unwrap().task, 21, "the worker's other poll takes it");
    let last = wait(&matching, &key);
    matching.offer_sticky(&key, 22).unwrap();
    drop(last);
    assert!(left(22), "no other poll waits there");
}

#[test]
fn a_delivered_task_holds_the_clock_and_a_waiting_one_for_a_second() {
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

/// A poll that sets a rate limit.
fn limited(tasks_per_second: f64) -> PolledBy<'static> {
    PolledBy { tasks_per_second: Some(tasks_per_second), ..WORKER }
}

#[tokio::test]
async fn a_poll_waits_for_a_task_that_the_limit_holds_back() {
    let matching = matching();
    let key = key(QueueKind::Activity);
    matching.offer(&key, 1);
    matching.offer(&key, 2);
    let Poll::Ready(first) = matching.poll(&key, limited(20.0), NOW) else {
        panic!("the tasks of one second are allowed")
    };
    assert_eq!(first.task, 1);
    let Poll::Ready(second) = matching.poll(&key, limited(20.0), NOW) else {
        panic!("the tasks of one second are allowed")
    };
    assert_eq!(second.task, 2);

    // With the lower limit, the next task waits, and is then delivered without another call.
    matching.offer(&key, 3);
    let Poll::Waiting(waiting) = matching.poll(&key, limited(1.0), NOW) else { panic!("the limit holds it back") };
    let held = matching.describe(&key);
    assert_eq!((held.backlog, held.tasks_per_second, held.is_throttled), (1, Some(1.0), true));
    assert!(matching.holds_for().unwrap() > Duration::ZERO, "a skipping clock waits for the task");
    assert_eq!(waiting.task().await.unwrap().task, 3);
}

#[tokio::test]
async fn a_raised_limit_delivers_at_once_the_tasks_that_the_lower_one_held_back() {
    let matching = matching();
    let key = key(QueueKind::Activity);
    let Poll::Waiting(stopped) = matching.poll(&key, limited(0.0), NOW) else { panic!("no task waits") };
    matching.offer(&key, 1);
    assert_eq!(matching.describe(&key).backlog, 1, "a limit of zero stops the queue");
    let Poll::Waiting(_next) = matching.poll(&key, WORKER, NOW) else { panic!("the first poll has the task") };
    assert_eq!(stopped.task().await.unwrap().task, 1);
}

#[tokio::test]
async fn an_undelivered_task_is_not_counted_by_the_limit() {
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
fn unused_queues_are_dropped() {
    let matching = matching();
    let named = |kind, name: String| QueueKey { namespace: NamespaceKey(1), kind, name: name.into() };
    let _worker = wait(&matching, &named(QueueKind::Workflow, "served".to_owned()));
    matching.offer(&named(QueueKind::Workflow, "waited for".to_owned()), 1);
    matching.queues().kept_for = Duration::ZERO;
    for number in 0..20_000 {
        let key = named(QueueKind::Sticky, number.to_string());
        drop(wait(&matching, &key));
        matching.offer_sticky(&key, 1).unwrap();
        assert!(matching.queues().by_key.len() <= QUEUES_MIN, "after {number}");
    }
    let queues = matching.queues();
    let is_there = |name: &str| queues.by_key.contains_key(&named(QueueKind::Workflow, name.to_owned()));
    assert!(is_there("served") && is_there("waited for"));
}

#[test]
fn stale_tasks_are_dropped_from_a_queue_without_polls() {
    let matching = matching();
    let key = key(QueueKind::Activity);
    for number in 0..100_000 {
        // A hundred of the tasks are valid.
        matching.offer(&key, if number % 1000 == 1 { 1 } else { STALE });
        assert!(matching.queues().by_key[&key].tasks.len() <= TASKS_MIN, "after {number}");
    }
    matching.withdraw(&key, |task| *task == STALE);
    assert_eq!(matching.describe(&key).backlog, 100);
}
