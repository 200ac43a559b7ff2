//! Scopes: the code that a cancellation reaches, and the number of deliveries.

use std::rc::Rc;
use std::time::Duration;

use expect_test::expect;

use super::story::{Scripted, work, workflow};
use crate::data::ActivityCancellationType;
use crate::errors::Cancelled;
use crate::workflow::*;
use crate::{join, select};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_cancellation_before_the_first_task_meets_the_first_operation() {
    let mut story = workflow(|_: Rc<()>| async {
        assert!(is_cancelled());
        assert_eq!(sleep(SECOND).await, Err(Cancelled));
        assert!(is_cancelled());
        // The cancellation was delivered, so operations that start now work.
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    expect![["StartTimer(1)\n"]].assert_eq(&story.cancel().task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("1").task());
}

#[test]
fn a_cancellation_that_is_not_handled_ends_the_workflow_as_cancelled() {
    let mut story = workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    story.task();
    expect![["CancelTimer(1)\nCancelWorkflow\n"]].assert_eq(&story.cancel().task());

    let mut story = workflow(|_: Rc<()>| async { Ok(work(1).await?) }).story();
    story.task();
    let expected = "RequestCancelActivity(scheduled by event 5)\nCancelWorkflow\n";
    assert_eq!(story.cancel().task(), expected);
}

#[test]
fn a_cancelled_error_without_a_request_is_a_failure() {
    let mut story = workflow(|_: Rc<()>| async {
        let handle = work(1).start();
        handle.cancel();
        Ok(handle.await?)
    })
    .story();
    expect![["FailWorkflow\n"]].assert_eq(&story.task());
}

#[test]
fn everything_pending_is_cancelled_in_creation_order_once() {
    let mut story = workflow(|_: Rc<()>| async {
        let beside = spawn(async { sleep(SECOND).await });
        let (timer, activity) = join!(sleep(SECOND), work(1));
        assert!(timer.is_err() && activity.is_err());
        assert_eq!(beside.await, Ok(Err(Cancelled)));
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    let expected = "StartTimer(1)\nScheduleActivity(work, id 2)\nStartTimer(3)\n";
    assert_eq!(story.task(), expected);
    let expected = "CancelTimer(1)\nRequestCancelActivity(scheduled by event 6)\nCancelTimer(3)\nStartTimer(4)\n";
    assert_eq!(story.cancel().task(), expected);
    // A cancellation is a state, so a repeated request changes nothing.
    expect![[""]].assert_eq(&story.cancel().task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("4").task());
}

#[test]
fn handlers_are_never_cancelled_with_the_workflow() {
    let mut story = workflow(|_: Rc<()>| async {
        assert_eq!(sleep(SECOND).await, Err(Cancelled));
        wait_condition(all_handlers_finished).await?;
        Ok(1)
    })
    .signal("slow", |_, _| async {
        assert!(!is_cancelled());
        sleep(SECOND).await?;
        assert!(!is_cancelled());
        Ok(())
    })
    .story();
    expect![["StartTimer(1)\nStartTimer(2)\n"]].assert_eq(&story.signal("slow", 0).task());
    expect![["CancelTimer(2)\n"]].assert_eq(&story.cancel().task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("1").task());
}

#[test]
fn shielded_future_runs_on_while_its_waiter_is_cancelled() {
    let mut story = workflow(|_: Rc<()>| async {
        let shielded = shield(async {
            sleep(SECOND).await.expect("no cancellation reaches it");
            work(1).await.expect("no cancellation reaches it")
        });
        assert_eq!(shielded.await, Err(Cancelled));
        sleep(SECOND * 5).await?;
        Ok(1)
    })
    .story();
    expect![["StartTimer(1)\n"]].assert_eq(&story.task());
    expect![["StartTimer(2)\n"]].assert_eq(&story.cancel().task());
    expect![["ScheduleActivity(work, id 3)\n"]].assert_eq(&story.fire("1").task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("3", 1).fire("2").task());
}

/// The coroutine ended in the task that cancelled its waiter: its output was dropped, and a second wait never ended.
#[test]
fn cancelled_waiter_can_wait_again_for_an_ended_coroutine() {
    let mut story = workflow(|_: Rc<()>| async {
        let mut shielded = shield(async {
            sleep(SECOND).await.expect("no cancellation reaches it");
            5
        });
        assert_eq!((&mut shielded).await, Err(Cancelled));
        assert!(shielded.is_finished());
        let output = (&mut shielded).await;
        assert!(shielded.is_finished());
        Ok(output?)
    })
    .story();
    expect![["StartTimer(1)\n"]].assert_eq(&story.task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("1").cancel().task());
}

#[test]
fn a_coroutine_gives_its_output_once() {
    let mut story = workflow(|_: Rc<()>| async {
        let mut beside = spawn(async { 5 });
        (&mut beside).await?;
        Ok(beside.await?)
    })
    .story();
    let failure = story.try_task().unwrap_err().to_string();
    assert!(failure.contains("a join handle was polled after it gave the output of its coroutine"), "{failure}");
}

#[test]
fn a_coroutine_is_cancelled_by_its_handle_alone() {
    let mut story = workflow(|_: Rc<()>| async {
        let first = spawn(async { sleep(SECOND).await });
        let second = spawn(async { sleep(SECOND).await }).cancel_on_drop();
        yield_now().await;
        first.cancel();
        drop(second);
        assert_eq!(first.await, Ok(Err(Cancelled)));
        assert!(!is_cancelled());
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    // Both were started and cancelled in one task.
    expect![["StartTimer(3)\n"]].assert_eq(&story.task());
}

#[test]
fn foreign_future_is_interrupted_by_selecting_on_cancelled() {
    let mut story = workflow(|_: Rc<()>| async {
        let (_sender, receiver) = tokio::sync::oneshot::channel::<()>();
        select! {
            _ = receiver => Ok(1),
            () = cancelled() => {
                cancelled().await;
                Ok(2)
            }
        }
    })
    .story();
    expect![[""]].assert_eq(&story.task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.cancel().task());
}

#[test]
fn a_result_and_a_cancellation_in_one_task_come_in_event_order() {
    let run = |cancel_first: bool| {
        let mut story = workflow(|_: Rc<()>| async { Ok(if sleep(SECOND).await.is_ok() { 1 } else { 2 }) }).story();
        story.task();
        match cancel_first {
            true => story.cancel().fire("1"),
            false => story.fire("1").cancel(),
        };
        story.try_task()
    };
    expect![["CompleteWorkflow\n"]].assert_eq(&run(false).unwrap());
    // The cancellation came first and takes effect; but the timer has ended, so a command to cancel it would be an error.
    expect![["CompleteWorkflow\n"]].assert_eq(&run(true).unwrap());
}

#[test]
fn an_activity_that_closed_after_the_cancellation_is_not_asked_to_stop() {
    let run = |cancellation: ActivityCancellationType| {
        let mut story = workflow(move |_: Rc<()>| async move {
            match work(1).cancellation_type(cancellation).await {
                Ok(n) => Ok(n),
                Err(failure) => Err(failure.into()),
            }
        })
        .story();
        story.task();
        story.cancel().complete("1", 5).task()
    };
    expect![["CancelWorkflow\n"]].assert_eq(&run(ActivityCancellationType::TryCancel));
    expect![["CompleteWorkflow\n"]].assert_eq(&run(ActivityCancellationType::WaitCancellationCompleted));
}

/// The cancelled coroutine had ended with the cancellation undelivered, and its scope was dropped: its child continued as if
/// there had been no cancellation.
#[test]
fn child_of_a_cancelled_coroutine_that_has_ended_is_cancelled() {
    let mut story = cancelled_parent_with_child().story();
    expect![["ScheduleActivity(work, id 1)\n"]].assert_eq(&story.task());
    // The rule that decides it is recorded with the task, and the history replays under it.
    assert_eq!(story.rules, [1, 2]);
    expect![["CompleteWorkflow\n"]].assert_eq(&story.lose_task().complete("1", 5).task());
}

#[test]
fn history_from_before_the_rule_of_ended_parents_replays_as_it_was_recorded() {
    let mut story = cancelled_parent_with_child().story().without_rules();
    expect![["StartTimer(1)\nScheduleActivity(work, id 2)\n"]].assert_eq(&story.task());
    // The replaying worker knows the rule, which this history never adopted.
    expect![["CompleteWorkflow\n"]].assert_eq(&story.lose_task().complete("2", 5).task());
}

fn cancelled_parent_with_child() -> Scripted<()> {
    workflow(|_: Rc<()>| async {
        let parent = spawn(async {
            drop(spawn(async {
                yield_now().await;
                yield_now().await;
                sleep(SECOND).await.ok();
            }));
            yield_now().await;
        });
        yield_now().await;
        parent.cancel();
        parent.await?;
        yield_now().await;
        Ok(work(1).await?)
    })
}

#[test]
fn coroutine_that_has_ended_still_passes_a_cancellation_to_its_children() {
    let mut story = workflow(|_: Rc<()>| async {
        let parent = spawn(async { drop(spawn(async { sleep(SECOND).await })) });
        yield_now().await;
        yield_now().await;
        assert!(parent.is_finished());
        sleep(SECOND * 2).await?;
        parent.cancel();
        sleep(SECOND * 3).await?;
        Ok(1)
    })
    .story();
    expect![["StartTimer(1)\nStartTimer(2)\n"]].assert_eq(&story.task());
    expect![["CancelTimer(1)\nStartTimer(3)\n"]].assert_eq(&story.fire("2").task());
}

#[test]
fn awaiting_a_resolved_handle_again_fails_the_task_and_names_the_activity() {
    let mut story = workflow(|_: Rc<()>| async {
        let mut handle = work(1).start();
        let first = (&mut handle).await?;
        Ok(first + handle.await?)
    })
    .story();
    story.task();
    let failure = story.complete("1", 5).try_task().unwrap_err().to_string();
    assert!(failure.contains("the handle of activity `work` was awaited again after it gave its result"), "{failure}");
}

#[test]
fn waiting_for_a_cancellation_again_is_over_at_once() {
    let mut story = workflow(|_: Rc<()>| async {
        let mut asked = cancelled();
        (&mut asked).await;
        asked.await;
        Ok(1)
    })
    .story();
    expect![[""]].assert_eq(&story.task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.cancel().task());
}

#[test]
fn conditions_and_fields_can_be_waited_for_again_after_a_cancellation() {
    let mut story = workflow(|paid: Rc<State<bool>>| async move {
        let mut condition = wait_condition(|| paid.get());
        let mut field = paid.wait(|paid| *paid);
        let (first, second) = join!(&mut condition, &mut field);
        assert!(first.is_err() && second.is_err());
        let (first, second) = join!(condition, field);
        first.and(second)?;
        Ok(1)
    })
    .signal("pay", |paid, _| async move {
        paid.set(true);
        Ok(())
    })
    .story();
    expect![[""]].assert_eq(&story.task());
    expect![[""]].assert_eq(&story.cancel().task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.signal("pay", 0).task());
}

/// Awaits a timer long after the workflow's cancellation.
fn timer_awaited_late() -> Scripted<()> {
    workflow(|_: Rc<()>| async {
        let mut timer = std::pin::pin!(sleep(SECOND));
        select! {
            _ = cancelled() => {},
            _ = &mut timer => {},
        }
        shield(work(1)).await??;
        assert_eq!(timer.await, Err(Cancelled));
        Ok(7)
    })
}

#[test]
fn cancelled_timer_keeps_its_outcome_until_it_is_polled() {
    let mut story = timer_awaited_late().story();
    story.task();
    expect![["CancelTimer(1)\nScheduleActivity(work, id 2)\n"]].assert_eq(&story.cancel().task());
    assert_eq!(story.rules, [3]);
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("2", 1).task());

    let mut story = timer_awaited_late().story();
    story.task();
    story.cancel().task();
    expect![["CompleteWorkflow\n"]].assert_eq(&story.lose_task().complete("2", 1).task());
}

#[test]
fn cancelled_timer_loses_its_outcome_in_histories_of_the_base_rules() {
    let mut story = timer_awaited_late().story().without_rules();
    story.task();
    story.cancel().task();
    assert!(story.rules.is_empty());
    expect![[""]].assert_eq(&story.lose_task().complete("2", 1).task());
}
