//! Fan-outs with a limit: the order of starts, and the effect of a cancellation on calls that have not started.

use std::rc::Rc;
use std::time::Duration;

use expect_test::expect;
use futures_util::{StreamExt, stream};

use super::story::{Story, work, workflow};
use crate::data::ActivityCancellationType;
use crate::workflow::*;

const SECOND: Duration = Duration::from_secs(1);

/// The number of cancelled calls among twenty, after all have ended.
async fn cancelled_of_twenty(limit: usize) -> u32 {
    let outputs = join_all((0..20).map(work)).limit(limit).await;
    assert_eq!(outputs.len(), 20);
    outputs.iter().filter(|output| output.as_ref().is_err_and(|failure| failure.is_cancelled())).count() as u32
}

fn commands(lines: &str, name: &str) -> usize {
    lines.lines().filter(|line| line.starts_with(name)).count()
}

/// Completes activities until the workflow has ended, and checks that no more than `limit` were ever open.
fn complete_all(story: &mut Story, first: usize, limit: usize) {
    let mut open: Vec<usize> = (first..first + limit).collect();
    let mut next = first + limit;
    while !story.is_closed() {
        let done = open.remove(0);
        let said = story.complete(&done.to_string(), 7).task();
        let started = commands(&said, "ScheduleActivity");
        open.extend(next..next + started);
        next += started;
        assert!(open.len() <= limit, "{} at once", open.len());
    }
}

#[test]
fn limited_join_starts_the_next_call_when_one_has_ended() {
    let mut story = workflow(|_: Rc<()>| async { Ok(cancelled_of_twenty(5).await) }).story();
    assert_eq!(commands(&story.task(), "ScheduleActivity"), 5);
    complete_all(&mut story, 1, 5);
}

#[test]
fn limited_join_returns_outputs_in_the_order_of_its_calls() {
    let mut story = workflow(|_: Rc<()>| async {
        let outputs = join_all((0..3).map(work)).limit(2).await;
        let outputs: Result<Vec<u32>, _> = outputs.into_iter().collect();
        assert_eq!(outputs?, [10, 11, 12]);
        Ok(1)
    })
    .story();
    expect![["ScheduleActivity(work, id 1)\nScheduleActivity(work, id 2)\n"]].assert_eq(&story.task());
    expect![["ScheduleActivity(work, id 3)\n"]].assert_eq(&story.complete("2", 11).task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("3", 12).complete("1", 10).task());
}

/// Combinators of other crates start the remaining fifteen calls after the five pending ones were cancelled, because they do not
/// know of the cancellation.
#[test]
fn limited_join_starts_nothing_more_once_the_workflow_is_cancelled() {
    let mut story = workflow(|_: Rc<()>| async {
        assert_eq!(cancelled_of_twenty(5).await, 20);
        // The cancellation was delivered, so clean-up works, also with a limit.
        assert_eq!(cancelled_of_twenty(4).await, 0);
        Ok(1)
    })
    .story();
    assert_eq!(commands(&story.task(), "ScheduleActivity"), 5);
    let said = story.cancel().task();
    assert_eq!((commands(&said, "RequestCancelActivity"), commands(&said, "ScheduleActivity")), (5, 4), "{said}");
    complete_all(&mut story, 6, 4);

    let mut foreign = workflow(|_: Rc<()>| async {
        let calls = (0..20).map(|n| work(n).into_future());
        let outputs: Vec<_> = stream::iter(calls).buffer_unordered(5).collect().await;
        Ok(outputs.iter().filter(|output| output.is_err()).count() as u32)
    })
    .story();
    foreign.task();
    assert_eq!(commands(&foreign.cancel().task(), "ScheduleActivity"), 5);
}

#[test]
fn limited_join_takes_a_request_that_came_before_it() {
    let mut story = workflow(|_: Rc<()>| async { Ok(cancelled_of_twenty(5).await) }).story();
    expect![["CompleteWorkflow\n"]].assert_eq(&story.cancel().task());
}

#[test]
fn limited_join_waits_for_calls_that_finish_in_spite_of_the_request() {
    let mut story = workflow(|_: Rc<()>| async {
        let calls = (0..3).map(|n| work(n).cancellation_type(ActivityCancellationType::WaitCancellationCompleted));
        let outputs = join_all(calls).limit(1).await;
        Ok(outputs.iter().filter(|output| output.is_ok()).count() as u32)
    })
    .story();
    expect![["ScheduleActivity(work, id 1)\n"]].assert_eq(&story.task());
    expect![["RequestCancelActivity(scheduled by event 5)\n"]].assert_eq(&story.cancel().task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("1", 1).task());
}

#[test]
fn futures_that_catch_the_request_clean_up_within_the_limit() {
    let mut story = workflow(|_: Rc<()>| async {
        let tries = (0..3).map(|n| async move {
            if work(n).await.is_err() {
                sleep(SECOND).await.expect("the request was used up");
            }
        });
        join_all(tries).limit(1).await;
        Ok(1)
    })
    .story();
    expect![["ScheduleActivity(work, id 1)\n"]].assert_eq(&story.task());
    expect![["RequestCancelActivity(scheduled by event 5)\nStartTimer(2)\n"]].assert_eq(&story.cancel().task());
    expect![["StartTimer(3)\n"]].assert_eq(&story.fire("2").task());
    expect![["StartTimer(4)\n"]].assert_eq(&story.fire("3").task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("4").task());
}

#[test]
fn limited_scope_runs_so_many_children_at_once_and_starts_none_once_cancelled() {
    let script = || {
        workflow(|_: Rc<()>| async {
            let all = scope(async |s| {
                s.limit(2);
                for n in 0..5 {
                    s.spawn(async move {
                        work(n).await?;
                        Ok(())
                    });
                }
                Ok(())
            })
            .await;
            work(9).await?;
            Ok(if all.is_ok() { 1 } else { 2 })
        })
    };
    let mut story = script().story();
    expect![["ScheduleActivity(work, id 1)\nScheduleActivity(work, id 2)\n"]].assert_eq(&story.task());
    expect![["ScheduleActivity(work, id 3)\n"]].assert_eq(&story.complete("2", 1).task());

    let mut story = script().story();
    story.task();
    let expected = "RequestCancelActivity(scheduled by event 5)\nRequestCancelActivity(scheduled by event 6)\n\
                    ScheduleActivity(work, id 3)\n";
    assert_eq!(story.cancel().task(), expected);
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("3", 1).task());
}

#[test]
fn children_that_catch_the_request_let_the_next_ones_take_it_too() {
    let mut story = workflow(|_: Rc<()>| async {
        let told = std::cell::Cell::new(0);
        scope(async |s| {
            s.limit(1);
            for n in 0..4 {
                let told = &told;
                s.spawn(async move {
                    told.set(told.get() + u32::from(work(n).await.is_err()));
                    Ok(())
                });
            }
            Ok(())
        })
        .await?;
        assert_eq!(told.get(), 4);
        Ok(1)
    })
    .story();
    expect![["ScheduleActivity(work, id 1)\n"]].assert_eq(&story.task());
    expect![["RequestCancelActivity(scheduled by event 5)\nCompleteWorkflow\n"]].assert_eq(&story.cancel().task());
}

#[test]
fn cancelled_coroutine_stops_its_own_fan_out_alone() {
    let mut story = workflow(|_: Rc<()>| async {
        let first = spawn(cancelled_of_twenty(2));
        let second = spawn(cancelled_of_twenty(2));
        sleep(SECOND).await?;
        first.cancel();
        let told = first.await?;
        drop(second);
        Ok(told)
    })
    .story();
    assert_eq!(commands(&story.task(), "ScheduleActivity"), 4);
    let said = story.fire("1").task();
    assert_eq!((commands(&said, "RequestCancelActivity"), commands(&said, "ScheduleActivity")), (2, 0), "{said}");
}

#[test]
fn limits_work_outside_a_workflow() {
    let outputs = futures_util::FutureExt::now_or_never(join_all((0..4).map(|n| async move { n })).limit(3));
    assert_eq!(outputs, Some(vec![0, 1, 2, 3]));
}
