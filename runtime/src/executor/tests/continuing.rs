//! Continuing as new: the last command, made of what this run has and what the code asks for.

use std::rc::Rc;
use std::time::Duration;

use everloop_proto::temporal::api::history::v1::history_event::Attributes as Event;
use everloop_proto::temporal::api::history::v1::{
    WorkflowExecutionContinuedAsNewEventAttributes, WorkflowExecutionStartedEventAttributes,
};
use expect_test::expect;

use super::story::{Story, new_run, work, workflow};
use crate::data::{Payloads, encode};
use crate::errors::WorkflowError;
use crate::executor::{Step, Task};
use crate::raw;
use crate::select;
use crate::workflow::*;

const SECOND: Duration = Duration::from_secs(1);

/// Continues with the next number, whatever the output of the code that awaits it.
fn next<T>(n: u32) -> ContinueAsNew<T> {
    continue_as_new_untyped("Scripted", Payloads::of(&n).unwrap())
}

/// The event of the last command.
fn continued(story: &Story) -> WorkflowExecutionContinuedAsNewEventAttributes {
    match story.history.last().and_then(|event| event.attributes.clone()) {
        Some(Event::WorkflowExecutionContinuedAsNewEventAttributes(continued)) => *continued,
        other => panic!("{other:?}"),
    }
}

fn started(story: &mut Story) -> &mut WorkflowExecutionStartedEventAttributes {
    match &mut story.history[0].attributes {
        Some(Event::WorkflowExecutionStartedEventAttributes(started)) => started,
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_ends_the_run_and_leaves_what_was_pending() {
    let mut story = workflow(|_: Rc<()>| async {
        let (timer, activity) = (sleep(SECOND), work(1).start());
        select! {
            _ = timer => {}
            _ = activity => {}
            () = async {} => {}
        }
        sleep(SECOND).await?;
        next(2).await
    })
    .story();
    // The first timer started and was dropped in one task.
    expect![["ScheduleActivity(work, id 1)\nStartTimer(3)\n"]].assert_eq(&story.task());
    expect![["ContinueAsNew\n"]].assert_eq(&story.fire("3").task());
    assert!(story.is_closed());
    let continued = continued(&story);
    assert_eq!(continued.input.unwrap().payloads, [encode(&2).unwrap()]);
    assert_eq!(continued.workflow_type.unwrap().name, "Scripted");
    assert_eq!(continued.task_queue.unwrap().name, "queue");
    assert_eq!((continued.memo, continued.header, continued.workflow_run_timeout), (None, None, None));
}

#[test]
fn the_next_run_has_the_memo_and_headers_of_this_one_and_the_options_given() {
    let mut story = workflow(|_: Rc<()>| async {
        let next = next(2).task_queue("other").run_timeout(SECOND * 3).task_timeout(SECOND * 2).start_delay(SECOND);
        next.memo("number", &2).memo("added", &true).await
    })
    .story();
    let fields = || [("number".to_owned(), encode(&1).unwrap()), ("kept".to_owned(), encode(&"yes").unwrap())];
    started(&mut story).memo = Some(raw::Memo { fields: fields().into() });
    started(&mut story).header = Some(raw::Header { fields: fields().into() });
    story.task();
    let continued = continued(&story);
    assert_eq!(continued.task_queue.unwrap().name, "other");
    let seconds = |duration: Option<prost_types::Duration>| duration.map(|duration| duration.seconds);
    assert_eq!(seconds(continued.workflow_run_timeout), Some(3));
    assert_eq!(seconds(continued.workflow_task_timeout), Some(2));
    assert_eq!(seconds(continued.backoff_start_interval), Some(1));
    let memo = continued.memo.unwrap().fields;
    assert_eq!(memo.len(), 3);
    assert_eq!((&memo["number"], &memo["kept"]), (&encode(&2).unwrap(), &encode(&"yes").unwrap()));
    assert_eq!(continued.header, Some(raw::Header { fields: fields().into() }));
}

/// As for a return, the other coroutines are polled until nothing moves, and their commands come before.
#[test]
fn other_coroutines_go_on_until_nothing_moves_and_the_first_end_wins() {
    let mut story = workflow(|_: Rc<()>| async {
        drop(spawn(async {
            yield_now().await;
            drop(work(1).start());
        }));
        next(2).await
    })
    .signal("fail", |_, _| async { Err(WorkflowError::new("no")) })
    .story();
    expect![["ScheduleActivity(work, id 1)\nContinueAsNew\n"]].assert_eq(&story.task());

    // A signal comes before `run`.
    let mut story = workflow(|_: Rc<()>| async { next(2).await })
        .signal("fail", |_, _| async { Err(WorkflowError::new("no")) })
        .story();
    expect![["FailWorkflow\n"]].assert_eq(&story.signal("fail", 1).task());
    let mut story = workflow(|_: Rc<()>| async { Ok(1) }).signal("next", |_, n| async move { next(n).await }).story();
    expect![["ContinueAsNew\n"]].assert_eq(&story.signal("next", 7).task());
    assert_eq!(continued(&story).input.unwrap().payloads, [encode(&7).unwrap()]);
    assert_eq!(story.warnings, [] as [&str; 0], "the handler that ends the run has done its work");
}

#[test]
fn handlers_that_are_still_running_are_warned_about() {
    let mut story = workflow(|_: Rc<()>| async { next(2).await })
        .signal("slow", |_, _| async {
            sleep(SECOND).await?;
            Ok(())
        })
        .story();
    expect![["StartTimer(1)\nContinueAsNew\n"]].assert_eq(&story.signal("slow", 1).task());
    assert!(story.warnings[0].contains("the signal `slow` was still running"), "{:?}", story.warnings);
}

#[test]
fn a_cancelled_workflow_can_continue() {
    let mut story = workflow(|_: Rc<()>| async {
        sleep(SECOND).await.ok();
        next(2).await
    })
    .story();
    story.task();
    expect![["CancelTimer(1)\nContinueAsNew\n"]].assert_eq(&story.cancel().task());
}

fn replay(story: &Story, recorded: &Story) -> Result<(), String> {
    let mut run = new_run(&story.definition);
    match run.begin(Task { events: recorded.history.clone(), more: false, updates: Vec::new() }) {
        Step::Settled => Ok(()),
        Step::Failed(failure) => Err(failure.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn replay_matches_it_by_kind() {
    let mut recorded = workflow(|_: Rc<()>| async { next(2).await }).story();
    recorded.task();
    let other_input = workflow(|_: Rc<()>| async { next(3).task_queue("other").await }).story();
    assert_eq!(replay(&other_input, &recorded), Ok(()));

    let returns = workflow(|_: Rc<()>| async { Ok(1) }).story();
    let message = replay(&returns, &recorded).unwrap_err();
    assert!(message.contains("history has ContinueAsNew, the workflow issued CompleteWorkflow at"), "{message}");
    let mut recorded = returns;
    recorded.task();
    let message = replay(&other_input, &recorded).unwrap_err();
    assert!(message.contains("history has CompleteWorkflow, the workflow issued ContinueAsNew at"), "{message}");
    assert!(message.contains("continuing.rs:"), "{message}");
}

#[test]
fn what_cannot_be_sent_fails_the_task_with_its_line() {
    let zero = workflow(|_: Rc<()>| async { next(2).run_timeout(Duration::ZERO).await }).story().try_task();
    let message = zero.unwrap_err().to_string();
    assert!(message.contains("`continue_as_new`, called at "), "{message}");
    assert!(message.contains("`run_timeout` is zero"), "{message}");
    let unfit = workflow(|_: Rc<()>| async { next(2).memo("ratio", &f64::NAN).await }).story().try_task();
    let message = unfit.unwrap_err().to_string();
    assert!(message.contains("memo `ratio`"), "{message}");
}

#[test]
fn a_query_cannot_end_the_run() {
    let mut story = workflow(|_: Rc<()>| async {
        wait_condition(|| false).await?;
        Ok(1)
    })
    .query("ends", |_| {
        let mut ends = std::pin::pin!(next::<u32>(2));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        u32::from(ends.as_mut().poll(&mut context).is_ready())
    })
    .story();
    story.task();
    let failure = story.query("ends").unwrap_err().failure.to_string();
    assert!(failure.contains("the query `ends` continues as new: it may only read"), "{failure}");
    assert!(!story.is_closed());
}
