//! A time-skipping clock that tries to jump after every single change, as if its thread ran at each point.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use everloop_proto::temporal::api::workflowservice::v1::workflow_service_server::WorkflowService;

use super::*;
use crate::model::NamespaceKey;
use crate::service::runs::slot::SlotKey;
use crate::{LetsTimeJump, Step};

const HOUR: Duration = Duration::from_secs(3600);

/// While this is kept, the clock jumps whenever it may.
struct Interleaved(Engine);

impl Interleaved {
    fn new(engine: &Engine) -> Self {
        let core = Arc::downgrade(&engine.handle.core);
        engine.handle.core.timers.interleave(Some(Arc::new(move || {
            if let Some(core) = core.upgrade() {
                core.timers.jump_if_settled(&*core.matching);
            }
        })));
        Self(engine.clone())
    }
}

impl Drop for Interleaved {
    fn drop(&mut self) {
        self.0.handle.core.timers.interleave(None);
    }
}

#[tokio::test]
async fn a_failed_attempt_holds_the_clock_until_its_retry_is_armed() {
    let mut bench = Bench::new(ClockMode::Skipping);
    bench.start("r").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![run_activity()]).await;
    let activity = bench.poll_activity().await;
    bench.engine.unlock_time("start").unwrap();
    let interleaved = Interleaved::new(&bench.engine);
    let failed = RespondActivityTaskFailedRequest {
        task_token: activity.task_token,
        namespace: "default".to_owned(),
        ..Default::default()
    };
    bench.client.respond_activity_task_failed(failed).await.unwrap();
    drop(interleaved);
    assert_eq!(bench.poll_activity().await.attempt, 2);
    // The retry is due after one second; the failed attempt had a timeout of a minute.
    assert!(bench.engine.skipped() < Duration::from_secs(2), "{:?}", bench.engine.skipped());
}

#[tokio::test]
async fn a_run_keeps_its_deadline_while_it_is_evicted_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::builder().file(folder.path().join("it.db")).clock(ClockMode::Skipping).build().unwrap();
    let mut bench = Bench::of(engine);
    for (id, commands) in [("other", vec![]), ("sleeps", vec![start_timer(3600)])] {
        bench.start(id).await;
        let task = bench.poll().await;
        bench.complete(&task, commands).await;
    }
    let core = Arc::clone(&bench.engine.handle.core);
    let due = core.timers.first_deadline().unwrap();
    let was_gone = Arc::new(AtomicBool::new(false));
    let (timers, seen) = (Arc::downgrade(&core.timers), Arc::clone(&was_gone));
    core.timers.interleave(Some(Arc::new(move || {
        if timers.upgrade().is_some_and(|timers| timers.first_deadline() != Some(due)) {
            seen.store(true, Ordering::SeqCst);
        }
    })));
    core.limit_open_bytes(0);
    let key = SlotKey { namespace: NamespaceKey(1), workflow_id: "sleeps".into() };
    // Each change evicts some runs, once they are committed.
    while core.is_in_memory(&key) {
        bench.history("other").await;
    }
    bench.history("sleeps").await;
    core.timers.interleave(None);
    assert!(!was_gone.load(Ordering::SeqCst), "a skipping clock would have jumped past the timer");
}

#[tokio::test]
async fn jumps_end_when_the_condition_of_the_waiting_caller_is_met() {
    let mut bench = Bench::new(ClockMode::Skipping);
    bench.start("w").await;
    let task = bench.poll().await;
    let much_later = bench.engine.sleep(HOUR * 24);
    let mut request = Request::new(GetWorkflowExecutionHistoryRequest {
        namespace: "default".to_owned(),
        execution: Some(execution("w")),
        wait_new_event: true,
        history_event_filter_type: HistoryEventFilterType::CloseEvent as i32,
        ..Default::default()
    });
    request.extensions_mut().insert(LetsTimeJump);
    let service = bench.engine.workflows();
    let mut closed = Box::pin(async move { service.get_workflow_execution_history(request).await });
    assert!(poll_once(closed.as_mut()).await.is_none());
    assert!(bench.engine.explain_time().contains("1 callers let time jump"), "{}", bench.engine.explain_time());
    let _interleaved = Interleaved::new(&bench.engine);
    bench.complete(&task, vec![complete_workflow()]).await;
    // The caller has not checked its condition yet.
    assert!(bench.engine.skipped() < HOUR, "{:?}", bench.engine.skipped());
    closed.await.unwrap();
    assert!(bench.engine.skipped() < HOUR, "{:?}", bench.engine.skipped());
    drop(much_later);
}

#[tokio::test]
async fn a_dropped_call_ends_its_permit_to_jump() {
    let bench = Bench::new(ClockMode::Skipping);
    drop(bench.engine.let_time_jump());
    let mut sleep = Box::pin(bench.engine.sleep(HOUR));
    let _interleaved = Interleaved::new(&bench.engine);
    assert!(poll_once(sleep.as_mut()).await.is_none());
    assert!(bench.engine.skipped().is_zero(), "{:?}", bench.engine.skipped());
    assert!(bench.engine.explain_time().starts_with("locks: 1 by start; "), "{}", bench.engine.explain_time());
}

#[tokio::test]
async fn a_stepper_stops_at_each_deadline() {
    let bench = Bench::new(ClockMode::Skipping);
    let stepper = bench.engine.step();
    let (first, second) = (bench.engine.sleep(HOUR), bench.engine.sleep(HOUR * 2));
    // Another caller allows jumps, and waits for the stepper.
    let _jumping = bench.engine.let_time_jump();
    let settled = stepper.settled().await;
    assert!(bench.engine.skipped() < HOUR / 2);
    assert_eq!(stepper.step(settled), Step::Jumped);
    let awake = first.await;
    assert!(bench.engine.skipped() <= HOUR, "{:?}", bench.engine.skipped());
    // The work that the first deadline caused is not finished.
    let mut settled = Box::pin(stepper.settled());
    assert!(poll_once(settled.as_mut()).await.is_none());
    drop(awake);
    assert_eq!(stepper.step(settled.await), Step::Jumped);
    second.await;
    let settled = stepper.settled().await;
    assert_eq!(stepper.step(settled), Step::NoDeadline);
    assert!(bench.engine.skipped() <= HOUR * 2, "{:?}", bench.engine.skipped());
}

/// Polls the future once.
async fn poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn a_skipping_clock_jumps_over_a_timer_once_unlocked() {
    let mut bench = Bench::new(ClockMode::Skipping);
    bench.start("b").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![start_timer(86_400)]).await;
    bench.engine.unlock_time("start").unwrap();
    let task = bench.poll().await;
    bench.complete(&task, vec![complete_workflow()]).await;
    assert_eq!(bench.numbers("b").await, "1:1 2:5 3:6 4:7 5:17 6:18 7:5 8:6 9:7 10:2");
    assert!(bench.engine.skipped() > Duration::from_secs(80_000));
}

#[tokio::test]
async fn a_skipping_clock_waits_while_a_worker_has_an_activity_and_jumps_over_its_retries() {
    let mut bench = Bench::new(ClockMode::Skipping);
    bench.start("r").await;
    let task = bench.poll().await;
    bench.complete(&task, vec![run_activity()]).await;
    bench.engine.unlock_time("start").unwrap();
    let activity = bench.poll_activity().await;
    // The attempt may take 60 s, but a worker has it: the clock does not jump to its timeout.
    assert!(bench.engine.explain_time().contains("1 tasks at workers"), "{}", bench.engine.explain_time());
    assert!(bench.engine.skipped() < Duration::from_secs(1));
    let failed = RespondActivityTaskFailedRequest {
        task_token: activity.task_token,
        namespace: "default".to_owned(),
        ..Default::default()
    };
    bench.client.respond_activity_task_failed(failed).await.unwrap();
    let again = bench.poll_activity().await;
    assert_eq!(again.attempt, 2);
    let wait = bench.engine.skipped();
    assert!(wait > Duration::from_millis(500) && wait < Duration::from_secs(2), "{wait:?}");
}

#[tokio::test]
async fn a_task_without_a_poller_holds_the_clock_only_briefly() {
    let mut bench = Bench::new(ClockMode::Skipping);
    let request = StartWorkflowExecutionRequest {
        workflow_run_timeout: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        ..start_request("n")
    };
    bench.client.start_workflow_execution(request).await.unwrap();
    bench.engine.unlock_time("start").unwrap();
    let closed = bench.close_event("n").await;
    assert_eq!(closed.event_type(), crate::api::enums::EventType::WorkflowExecutionTimedOut);
}

#[tokio::test]
async fn a_sleep_is_a_deadline_of_the_clock() {
    let bench = Bench::new(ClockMode::Skipping);
    let asleep = bench.engine.sleep(Duration::from_secs(7 * 86_400));
    bench.engine.unlock_time("start").unwrap();
    asleep.await;
    assert!(bench.engine.unlock_time("start").is_err());
}
