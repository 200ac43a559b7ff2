//! Local activities: markers, requests to the worker, and the same commands when a history is replayed.

use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use expect_test::expect;

use super::story::{RUN_ID, Story, work, workflow};
use crate::data::{ActivityCancellationType, Failure, FailureKind};
use crate::errors::{ActivityFailure, WorkflowError};
use crate::history::History;
use crate::testing::playback::{live, replay};
use crate::workflow::*;
use crate::{join, select};

const SECOND: Duration = Duration::from_secs(1);

/// The history replays under every cut, and each task has the same commands after every eviction.
fn holds_under_every_cut(story: &Story) {
    let history = History::new("story", RUN_ID, story.history.clone());
    for cut in 0..history.len() {
        assert_eq!(replay(&story.definition, &history, &[cut]), Ok(None), "cut at {cut}");
    }
    let undisturbed = live(&story.definition, &history, &[], &[]);
    let tasks = undisturbed.as_ref().map_or(0, Vec::len);
    assert!(tasks > 0, "{undisturbed:?}");
    for eviction in 0..tasks {
        assert_eq!(live(&story.definition, &history, &[], &[eviction]), undisturbed, "evicted before task {eviction}");
    }
}

#[test]
fn result_is_a_marker_of_the_same_task() {
    let mut story = workflow(|_: Rc<()>| async {
        let first = work(1).local().await?;
        Ok(first + work(2).local().await?)
    })
    .story();
    expect![["LocalActivity(work, id 1)\nLocalActivity(work, id 2)\nCompleteWorkflow\n"]]
        .assert_eq(&story.returns(1, 10).returns(2, 20).task());
    assert_eq!(story.local_requests, ["start 1 attempt 1", "start 2 attempt 1"]);
    holds_under_every_cut(&story);
}

#[test]
fn two_at_once_are_delivered_one_by_one_as_they_end() {
    let mut story = workflow(|_: Rc<()>| async {
        let after = |n| async move {
            let n = work(n).local().await?;
            sleep(SECOND * n).await?;
            Ok::<_, WorkflowError>(n)
        };
        let (first, second) = join!(after(1), after(2));
        Ok(first? + second?)
    })
    .story();
    expect![["LocalActivity(work, id 2)\nStartTimer(3)\nLocalActivity(work, id 1)\nStartTimer(4)\n"]]
        .assert_eq(&story.returns(2, 20).returns(1, 10).task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("4").fire("3").task());
    holds_under_every_cut(&story);
}

#[test]
fn long_one_runs_on_through_heartbeats_of_its_task() {
    let mut story = workflow(|_: Rc<()>| async {
        let other = work(1).start();
        let n = work(2).local().await?;
        Ok(n + other.await?)
    })
    .signal("add", |_, n| async move {
        sleep(SECOND * n).await.ok();
        Ok(())
    })
    .story();
    expect![["ScheduleActivity(work, id 1)\n"]].assert_eq(&story.task());
    expect![[""]].assert_eq(&story.task());
    expect![["StartTimer(3)\n"]].assert_eq(&story.signal("add", 1).task());
    assert_eq!(story.local_requests, ["start 2 attempt 1"], "each task tells the worker anew");
    expect![["LocalActivity(work, id 2)\n"]].assert_eq(&story.returns(2, 5).task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("1", 1).task());
    holds_under_every_cut(&story);
}

#[test]
fn lost_worker_has_another_one_run_it_again() {
    let mut story = workflow(|_: Rc<()>| async { Ok(work(1).local().await?) }).story();
    story.task();
    story.evict().task();
    assert_eq!(story.local_requests, ["start 1 attempt 1"]);
    story.lose_task();
    expect![["LocalActivity(work, id 1)\nCompleteWorkflow\n"]].assert_eq(&story.returns(1, 2).task());
    holds_under_every_cut(&story);
}

/// A heartbeat delivers nothing, so a condition that depends on time is not asked before the result arrives.
#[test]
fn clock_moves_with_results_and_not_with_heartbeats() {
    let mut story = workflow(|_: Rc<()>| async {
        let seconds = || now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let called = seconds();
        work(1).local().await?;
        let returned = seconds();
        sleep(SECOND).await?;
        Ok(u32::try_from((returned - called) * 100 + (seconds() - returned)).unwrap())
    })
    .query("nothing", |()| 0)
    .story();
    story.task();
    story.after(20).task();
    story.after(20).returns(1, 1).task();
    story.fire("2").task();
    let completed = story.history.last().unwrap().attributes.clone();
    let text = format!("{completed:?}");
    assert!(text.contains("4201"), "called in the first task, returned in the third, which started 42 s later: {text}");
    holds_under_every_cut(&story);
}

#[test]
fn clock_does_not_go_back_behind_a_result() {
    let mut story = workflow(|_: Rc<()>| async {
        work(1).local().await?;
        let returned = now();
        sleep(SECOND).await?;
        Ok(u32::from(now() >= returned))
    })
    .story();
    // The worker's clock is ahead of the server's.
    story.returns_after(1, 1, SECOND * 60).task();
    story.fire("2").task();
    assert!(format!("{:?}", story.history.last()).contains("data: b\"1\""), "{:?}", story.history.last());
    holds_under_every_cut(&story);
}

#[test]
fn failure_is_that_of_an_activity() {
    let mut story = workflow(|_: Rc<()>| async {
        let failed: ActivityFailure = work(1).local().await.unwrap_err();
        let FailureKind::Activity { activity_id, .. } = &failed.failure().kind else { panic!("{failed:?}") };
        assert_eq!((activity_id.as_str(), failed.cause().unwrap().message.as_str()), ("1", "no"));
        Ok(1)
    })
    .story();
    story.fails(1, Failure::application("Declined", "no")).task();
    assert!(story.is_closed());
    holds_under_every_cut(&story);
}

#[test]
fn dropped_one_is_recorded_as_cancelled() {
    let mut story = workflow(|_: Rc<()>| async {
        let first = select! {
            n = work(1).local() => n?,
            n = work(2).local() => n? + 100,
        };
        sleep(SECOND).await?;
        Ok(first)
    })
    .story();
    expect![["LocalActivity(work, id 2)\nLocalActivity(work, id 1)\nStartTimer(3)\n"]]
        .assert_eq(&story.returns(2, 2).task());
    assert_eq!(story.local_requests, ["start 1 attempt 1", "start 2 attempt 1", "cancel 1"]);
    story.fire("3").task();
    assert!(story.is_closed());
    holds_under_every_cut(&story);
}

#[test]
fn one_that_is_dropped_before_the_workflow_waits_leaves_no_trace() {
    let mut story = workflow(|_: Rc<()>| async {
        select! {
            _ = work(1).local() => {}
            () = async {} => {}
        }
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    expect![["StartTimer(2)\n"]].assert_eq(&story.task());
    assert!(story.local_requests.is_empty());
    story.fire("2").task();
    holds_under_every_cut(&story);
}

#[test]
fn cancellation_waits_for_the_end_where_the_call_says_so() {
    let mut story = workflow(|_: Rc<()>| async {
        let call = work(1).local().cancellation_type(ActivityCancellationType::WaitCancellationCompleted);
        Ok(call.await?)
    })
    .story();
    story.task();
    expect![["LocalActivity(work, id 1)\nCompleteWorkflow\n"]].assert_eq(&story.cancel().returns(1, 5).task());
    assert_eq!(story.local_requests, ["start 1 attempt 1", "cancel 1"]);
    holds_under_every_cut(&story);
}

#[test]
fn abandoned_one_goes_on_without_the_workflow() {
    let mut story = workflow(|_: Rc<()>| async {
        let call = work(1).local().cancellation_type(ActivityCancellationType::Abandon);
        timeout(SECOND, call).await.ok();
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    expect![["StartTimer(2)\n"]].assert_eq(&story.task());
    expect![["LocalActivity(work, id 1)\nStartTimer(3)\n"]].assert_eq(&story.fire("2").task());
    assert_eq!(story.local_requests, ["start 1 attempt 1", "abandon 1"]);
    story.fire("3").task();
    holds_under_every_cut(&story);
}

#[test]
fn long_wait_between_attempts_is_a_timer() {
    let mut story = workflow(|_: Rc<()>| async { Ok(work(1).local().await?) }).story();
    expect![["LocalActivity(work, id 1)\nStartTimer(2)\n"]].assert_eq(&story.backs_off(1, SECOND * 90).task());
    expect![["LocalActivity(work, id 1, call 3)\nCompleteWorkflow\n"]]
        .assert_eq(&story.after(90).fire("2").returns(3, 7).task());
    assert_eq!(story.local_requests, ["start 3 attempt 2"]);
    holds_under_every_cut(&story);
}

#[test]
fn cancelled_between_two_attempts_it_cancels_the_timer() {
    let mut story = workflow(|_: Rc<()>| async {
        let handle = work(1).local().start();
        sleep(SECOND).await?;
        handle.cancel();
        let cancelled = handle.await.unwrap_err().is_cancelled();
        sleep(SECOND).await?;
        Ok(u32::from(cancelled))
    })
    .story();
    expect![["StartTimer(2)\nLocalActivity(work, id 1)\nStartTimer(3)\n"]]
        .assert_eq(&story.backs_off(1, SECOND * 90).task());
    expect![["CancelTimer(3)\nStartTimer(4)\n"]].assert_eq(&story.fire("2").task());
    story.fire("4").task();
    assert!(story.is_closed());
    holds_under_every_cut(&story);
}

#[test]
fn detached_one_holds_the_task_and_ends_with_its_workflow() {
    let mut story = workflow(|_: Rc<()>| async {
        drop(work(1).local().start());
        drop(work(2).local().start());
        Ok(work(3).local().await?)
    })
    .story();
    expect![["LocalActivity(work, id 1)\nLocalActivity(work, id 3)\nCompleteWorkflow\n"]]
        .assert_eq(&story.returns(1, 1).returns(3, 3).task());
    holds_under_every_cut(&story);
}

#[test]
fn changed_call_is_reported_with_its_line() {
    let mut story = workflow(|_: Rc<()>| async { Ok(work(1).local().await?) }).story();
    story.returns(1, 1).task();
    let other = workflow(|_: Rc<()>| async { Ok(work(1).await?) }).story();
    let history = History::new("story", RUN_ID, story.history);
    let error = replay(&other.definition, &history, &[]).unwrap_err();
    assert!(error.contains("event 5: history has LocalActivity(work, id 1), the workflow issued Schedule"), "{error}");
    let without = workflow(|_: Rc<()>| async { Ok(1) }).story();
    let error = replay(&without.definition, &history, &[]).unwrap_err();
    assert!(error.contains("event 5: history has LocalActivity(work, id 1)"), "{error}");
}
