//! Code that does not match its history any more: the message names the event, the recorded and issued commands, and the line.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use everloop_proto::temporal::api::history::v1::HistoryEvent;

use super::story::{Story, new_run, work, workflow};
use crate::executor::{Definition, Step, Task};
use crate::workflow::*;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn replay(definition: &Arc<dyn Definition>, history: &[HistoryEvent]) -> Result<(), String> {
    let mut run = new_run(definition);
    let mut step = run.begin(Task { events: history.to_vec(), more: false, updates: Vec::new() });
    while let Step::Yielded = step {
        step = run.resume();
    }
    match step {
        Step::Settled => Ok(()),
        Step::Failed(failure) => Err(failure.to_string()),
        other => panic!("{other:?}"),
    }
}

pub(super) fn timer_then_activity() -> Story {
    let mut story = workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        Ok(work(1).await?)
    })
    .story();
    story.task();
    story.fire("1").task();
    story.complete("2", 5).task();
    story
}

#[test]
fn the_same_code_replays() {
    let recorded = timer_then_activity();
    assert_eq!(replay(&recorded.definition, &recorded.history), Ok(()));
}

#[test]
fn another_command_in_its_place_is_named_with_its_line() {
    let recorded = timer_then_activity();
    let edited = workflow(|_: Rc<()>| async { Ok(work(1).await?) }).story();
    let message = replay(&edited.definition, &recorded.history).unwrap_err();
    assert!(message.contains("event 5: history has StartTimer(1)"), "{message}");
    assert!(message.contains("the workflow issued ScheduleActivity(work, id 1) at"), "{message}");
    assert!(message.contains("mismatches.rs:"), "{message}");
    assert!(message.contains("run this workflow with the code that recorded it"), "{message}");
}

#[test]
fn a_missing_and_an_additional_command_are_told_apart() {
    let recorded = timer_then_activity();
    let shorter = workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        wait_condition(|| false).await?;
        Ok(1)
    })
    .story();
    let message = replay(&shorter.definition, &recorded.history).unwrap_err();
    assert!(
        message.contains("history has ScheduleActivity(work, id 2), the workflow issued nothing more"),
        "{message}"
    );

    let longer = workflow(|_: Rc<()>| async {
        drop(work(9).start());
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    let mut only_timer = workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    only_timer.task();
    let message = replay(&longer.definition, &only_timer.history).unwrap_err();
    assert!(message.contains("event 5: history has StartTimer(1), the workflow issued ScheduleActivity"), "{message}");
    let extended = workflow(|_: Rc<()>| async {
        let timer = spawn(sleep(SECOND));
        drop(spawn(work(3)));
        timer.await??;
        Ok(1)
    })
    .story();
    let message = replay(&extended.definition, &only_timer.history).unwrap_err();
    assert!(message.contains("after event 5: the workflow issued ScheduleActivity(work, id 2) at"), "{message}");
}

#[test]
fn payloads_are_never_compared() {
    let recorded = timer_then_activity();
    let other_input = workflow(|_: Rc<()>| async {
        sleep(SECOND * 9).await?;
        Ok(work(99).await?)
    })
    .story();
    assert_eq!(replay(&other_input.definition, &recorded.history), Ok(()));
}

#[test]
fn broken_histories_are_not_the_codes_fault() {
    let recorded = timer_then_activity();
    let mut gap = recorded.history.clone();
    gap.remove(3);
    assert!(replay(&recorded.definition, &gap).unwrap_err().contains("event 5 is not possible in this history"));
    let mut unknown = recorded.history.clone();
    unknown[5].event_type = 9999;
    unknown[5].attributes = None;
    let message = replay(&recorded.definition, &unknown).unwrap_err();
    assert!(message.contains("event 6 is of a kind (type 9999)"), "{message}");
    unknown[5].worker_may_ignore = true;
    assert!(replay(&recorded.definition, &unknown).unwrap_err().contains("history has ScheduleActivity(work, id 2)"));
}
