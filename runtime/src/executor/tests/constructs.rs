//! Each construct × {fires, cancelled, dropped, started and dropped in one task}: the commands it issues.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use expect_test::expect;

use super::story::{work, workflow};
use crate::data::ActivityCancellationType;
use crate::errors::Cancelled;
use crate::errors::WorkflowError;
use crate::workflow::*;
use crate::{join, select};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_timer_that_fires() {
    let mut story = workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    expect![["StartTimer(1)\n"]].assert_eq(&story.task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("1").task());
    assert!(story.is_closed());
}

#[test]
fn a_timer_that_is_cancelled() {
    let mut story = workflow(|_: Rc<()>| async { Ok(if sleep(SECOND).await.is_err() { 1 } else { 2 }) }).story();
    story.task();
    expect![["CancelTimer(1)\nCompleteWorkflow\n"]].assert_eq(&story.cancel().task());
}

#[test]
fn a_timer_that_is_dropped() {
    let mut story = workflow(|_: Rc<()>| async {
        select! {
            first = sleep(SECOND) => first?,
            second = sleep(SECOND * 2) => second?,
        }
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    expect![["StartTimer(1)\nStartTimer(2)\n"]].assert_eq(&story.task());
    expect![["CancelTimer(1)\nStartTimer(3)\n"]].assert_eq(&story.fire("2").task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("3").task());
}

#[test]
fn a_timer_started_and_dropped_in_one_task_leaves_no_trace() {
    let mut story = workflow(|_: Rc<()>| async {
        select! {
            _ = sleep(SECOND) => {}
            () = async {} => {}
        }
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    expect![["StartTimer(2)\n"]].assert_eq(&story.task());
}

#[test]
fn both_timers_of_one_task_fire_in_event_order() {
    let mut story = workflow(|_: Rc<()>| async {
        let won = select! {
            _ = sleep(SECOND) => 1,
            _ = sleep(SECOND) => 2,
        };
        Ok(won)
    })
    .story();
    story.task();
    // The branches are polled in written order, whatever fired first.
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("2").fire("1").task());
}

#[test]
fn an_activity_that_completes() {
    let mut story = workflow(|_: Rc<()>| async { Ok(work(1).await?) }).story();
    expect![["ScheduleActivity(work, id 1)\n"]].assert_eq(&story.task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("1", 5).task());
}

#[test]
fn an_activity_that_fails_fails_the_workflow_unless_it_is_handled() {
    let run = |handled: bool| {
        let mut story = workflow(move |_: Rc<()>| async move {
            match work(1).await {
                Ok(n) => Ok(n),
                Err(failure) if handled && failure.type_name() == Some("Declined") => {
                    Ok(failure.message().len() as u32)
                }
                Err(failure) => Err(failure.into()),
            }
        })
        .story();
        story.task();
        story.fail("1", "no money").task()
    };
    expect![["CompleteWorkflow\n"]].assert_eq(&run(true));
    expect![["FailWorkflow\n"]].assert_eq(&run(false));
}

fn cancelled_activity(cancellation: ActivityCancellationType) -> [String; 2] {
    let mut story = workflow(move |_: Rc<()>| async move {
        match work(1).cancellation_type(cancellation).await {
            Ok(n) => Ok(n),
            Err(failure) => {
                assert!(failure.is_cancelled(), "{failure}");
                Ok(0)
            }
        }
    })
    .story();
    story.task();
    let at_once = story.cancel().task();
    let later = if story.is_closed() { String::new() } else { story.activity_cancelled("1").task() };
    [at_once, later]
}

#[test]
fn an_activity_that_is_cancelled_by_its_type() {
    use ActivityCancellationType::*;
    let request = "RequestCancelActivity(scheduled by event 5)\n";
    assert_eq!(cancelled_activity(TryCancel), [format!("{request}CompleteWorkflow\n"), String::new()]);
    assert_eq!(cancelled_activity(WaitCancellationCompleted), [request.to_owned(), "CompleteWorkflow\n".to_owned()]);
    assert_eq!(cancelled_activity(Abandon), ["CompleteWorkflow\n".to_owned(), String::new()]);
}

#[test]
fn an_activity_that_finishes_in_spite_of_its_cancellation_counts_if_it_is_waited_for() {
    let mut story = workflow(|_: Rc<()>| async {
        Ok(work(1).cancellation_type(ActivityCancellationType::WaitCancellationCompleted).await?)
    })
    .story();
    story.task();
    story.cancel().task();
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("1", 5).task());
}

#[test]
fn an_activity_that_is_dropped_and_one_whose_handle_is() {
    let mut story = workflow(|_: Rc<()>| async {
        drop(work(1).start());
        select! {
            _ = work(2) => {}
            slept = sleep(SECOND) => slept?,
        }
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    let expected = "ScheduleActivity(work, id 1)\nScheduleActivity(work, id 2)\nStartTimer(3)\n";
    assert_eq!(story.task(), expected);
    // The awaited activity is cancelled, the one whose handle was dropped continues.
    expect![["RequestCancelActivity(scheduled by event 6)\nStartTimer(4)\n"]].assert_eq(&story.fire("3").task());
    // Their ends wake no coroutine and have no effect.
    expect![[""]].assert_eq(&story.complete("1", 5).activity_cancelled("2").task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("4").task());
}

#[test]
fn an_activity_scheduled_and_dropped_in_one_task_leaves_no_trace() {
    let mut story = workflow(|_: Rc<()>| async {
        select! {
            _ = work(1) => {}
            () = async {} => {}
        }
        drop(work(2).start().cancel_on_drop());
        let handle = work(3).start();
        handle.cancel();
        assert!(handle.await.unwrap_err().is_cancelled());
        Ok(1)
    })
    .story();
    expect![["CompleteWorkflow\n"]].assert_eq(&story.task());
}

#[test]
fn a_call_that_is_never_polled_issues_nothing() {
    let mut story = workflow(|_: Rc<()>| async {
        drop(work(1));
        drop(sleep(SECOND));
        Ok(1)
    })
    .story();
    expect![["CompleteWorkflow\n"]].assert_eq(&story.task());
}

#[test]
fn a_timeout_polls_its_future_first_and_drops_it_when_the_time_is_over() {
    let mut story = workflow(|_: Rc<()>| async {
        timeout(SECOND, async {}).await?;
        let elapsed = timeout(SECOND, work(1)).await;
        assert_eq!(elapsed.err(), Some(Elapsed));
        Ok(1)
    })
    .story();
    expect![["ScheduleActivity(work, id 1)\nStartTimer(2)\n"]].assert_eq(&story.task());
    let expected = "RequestCancelActivity(scheduled by event 5)\nCompleteWorkflow\n";
    assert_eq!(story.fire("2").task(), expected);
}

#[test]
fn a_cancellation_surfaces_in_a_timeout_as_the_futures_own_error() {
    let mut story = workflow(|_: Rc<()>| async {
        let result = timeout(SECOND, work(1)).await;
        assert!(result.expect("the time is not over").unwrap_err().is_cancelled());
        Ok(1)
    })
    .story();
    story.task();
    let expected = "RequestCancelActivity(scheduled by event 5)\nCancelTimer(2)\nCompleteWorkflow\n";
    assert_eq!(story.cancel().task(), expected);
}

#[test]
fn join_and_join_all_take_calls_and_issue_in_written_order() {
    let mut story = workflow(|_: Rc<()>| async {
        let (slept, first) = join!(sleep(SECOND), work(1));
        slept?;
        let all = join_all((2..5).map(work)).await;
        let sum: u32 = all.into_iter().collect::<Result<Vec<_>, _>>()?.iter().sum();
        Ok(sum + first?)
    })
    .story();
    expect![["StartTimer(1)\nScheduleActivity(work, id 2)\n"]].assert_eq(&story.task());
    expect![[""]].assert_eq(&story.complete("2", 1).task());
    let expected = "ScheduleActivity(work, id 3)\nScheduleActivity(work, id 4)\nScheduleActivity(work, id 5)\n";
    assert_eq!(story.fire("1").task(), expected);
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("4", 1).complete("3", 1).complete("5", 1).task());
}

#[test]
fn spawned_coroutines_start_in_order_when_the_caller_waits() {
    let mut story = workflow(|_: Rc<()>| async {
        let first = spawn(async { sleep(SECOND).await });
        let second = spawn(work(7));
        drop(spawn(sleep(SECOND)));
        sleep(SECOND).await?;
        first.await??;
        Ok(second.await??)
    })
    .story();
    let expected = "StartTimer(1)\nStartTimer(2)\nScheduleActivity(work, id 3)\nStartTimer(4)\n";
    assert_eq!(story.task(), expected);
    expect![[""]].assert_eq(&story.fire("1").fire("2").task());
    // The end of the workflow drops running operations without a command.
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("3", 7).task());
}

#[test]
fn a_scope_ends_with_its_children_and_the_first_error_drops_the_others() {
    let mut story = workflow(|_: Rc<()>| async {
        let limits = [SECOND, SECOND * 2];
        let slept = scope(async |s| {
            for limit in &limits {
                s.spawn(async { Ok(sleep(*limit).await?) });
            }
            Ok(limits.len() as u32)
        })
        .await?;
        let failed = scope(async |s| {
            s.spawn(async { Ok(sleep(SECOND).await?) });
            s.spawn(async { work(1).await.map(drop).map_err(WorkflowError::from) });
            Ok(())
        })
        .await;
        assert!(failed.is_err());
        Ok(slept)
    })
    .story();
    expect![["StartTimer(1)\nStartTimer(2)\n"]].assert_eq(&story.task());
    expect![["StartTimer(3)\nScheduleActivity(work, id 4)\n"]].assert_eq(&story.fire("2").fire("1").task());
    expect![["CancelTimer(3)\nCompleteWorkflow\n"]].assert_eq(&story.fail("4", "no").task());
}

#[derive(Default)]
struct Counter {
    count: State<u32>,
    asked: Cell<u32>,
}

#[test]
fn conditions_are_asked_after_every_sweep_and_hold_when_the_wait_is_over() {
    let mut story = workflow(|state: Rc<Counter>| async move {
        let enough = wait_condition(|| {
            state.asked.set(state.asked.get() + 1);
            state.count.get() >= 2
        });
        let (enough, field) = join!(enough, state.count.wait(|count| *count >= 2));
        enough?;
        field?;
        Ok(state.asked.get())
    })
    .signal("add", |state, n| async move {
        state.count.add(n);
        Ok(())
    })
    .query("asked", |state| state.asked.get())
    .story();
    expect![[""]].assert_eq(&story.task());
    assert_eq!(story.query("asked"), Ok(2));
    expect![[""]].assert_eq(&story.signal("add", 1).task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.signal("add", 1).task());
}

#[test]
fn a_condition_that_is_cancelled_and_one_with_a_time_limit() {
    let mut story = workflow(|_: Rc<()>| async {
        assert_eq!(timeout(SECOND, wait_condition(|| false)).await, Err(Elapsed));
        wait_condition(|| true).await?;
        Ok(if wait_condition(|| false).await == Err(Cancelled) { 1 } else { 2 })
    })
    .story();
    expect![["StartTimer(1)\n"]].assert_eq(&story.task());
    expect![[""]].assert_eq(&story.fire("1").task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.cancel().task());
}

#[test]
fn yielding_lets_others_run_without_a_timer() {
    let mut story = workflow(|state: Rc<Counter>| async move {
        let other = this::<Counter>();
        drop(spawn(async move { other.count.set(5) }));
        yield_now().await;
        Ok(state.count.get())
    })
    .story();
    expect![["CompleteWorkflow\n"]].assert_eq(&story.task());
}

#[test]
fn time_is_the_tasks_and_randomness_the_runs() {
    let mut story = workflow(|_: Rc<()>| async {
        let before = now();
        sleep_until(before + SECOND).await?;
        assert_eq!(now(), before + SECOND * 31);
        assert_eq!(info().workflow_id, "story");
        assert!((0.0..1.0).contains(&random::<f64>()));
        assert!((5..7).contains(&random_range(5..7)));
        assert_eq!(uuid().get_version_num(), 4);
        Ok(random::<u32>())
    })
    .story();
    story.task();
    expect![["CompleteWorkflow\n"]].assert_eq(&story.after(30).fire("1").task());
}

#[test]
fn a_channel_between_coroutines_just_works() {
    let mut story = workflow(|_: Rc<()>| async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<u32>(1);
        drop(spawn(async move {
            for n in 0..3 {
                sender.send(n).await.unwrap();
                sleep(SECOND).await.unwrap();
            }
        }));
        let mut sum = 0;
        while let Some(n) = receiver.recv().await {
            sum += n;
        }
        Ok(sum)
    })
    .story();
    expect![["StartTimer(1)\n"]].assert_eq(&story.task());
    expect![["StartTimer(2)\n"]].assert_eq(&story.fire("1").task());
    expect![["StartTimer(3)\n"]].assert_eq(&story.fire("2").task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("3").task());
}
