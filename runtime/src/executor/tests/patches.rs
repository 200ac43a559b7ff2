//! Patches: which runs have one, what is recorded of it, and how it goes again.

use std::rc::Rc;
use std::time::Duration;

use everloop_proto::temporal::api::command::v1::Command;
use everloop_proto::temporal::api::common::v1::Payload;
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::history::v1::history_event::Attributes;
use expect_test::expect;

use super::mismatches::replay;
use super::story::{RUN_ID, Scripted, Story, run_options, work, workflow};
use crate::executor::{Run, RunOptions, Step, Task, catch};
use crate::history::History;
use crate::testing::playback;
use crate::workflow::*;

const SECOND: Duration = Duration::from_secs(1);

/// The code at first: sleeps, then works.
fn old_code() -> Scripted<()> {
    workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        Ok(work(1).await?)
    })
}

/// Works twice since the patch.
fn patched_code() -> Scripted<()> {
    workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        if patched("again") {
            work(9).await?;
        }
        Ok(work(1).await?)
    })
}

/// Has no old path any more.
fn deprecating_code() -> Scripted<()> {
    workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        deprecate_patch("again");
        work(9).await?;
        Ok(work(1).await?)
    })
}

/// Knows nothing of the patch any more.
fn new_code() -> Scripted<()> {
    workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        work(9).await?;
        Ok(work(1).await?)
    })
}

/// The same run, continued by other code.
fn deployed(code: Scripted<()>, before: &Story) -> Story {
    let mut story = code.story();
    story.history.clone_from(&before.history);
    story
}

/// Runs code that sleeps and then works twice to its end.
fn to_the_end(code: Scripted<()>) -> Story {
    let mut story = code.story();
    story.task();
    story.fire("1").task();
    story.complete("2", 9).task();
    story.complete("3", 1).task();
    assert!(story.is_closed());
    story
}

fn check(code: Scripted<()>, recorded: &Story) -> Result<(), String> {
    replay(&code.story().definition, &recorded.history)
}

#[test]
fn a_new_run_has_the_patch_and_records_it() {
    let mut story = patched_code().story();
    story.task();
    expect![[r#"
        RecordPatch(again)
        UpsertSearchAttributes(TemporalChangeVersion)
        ScheduleActivity(work, id 2)
    "#]]
    .assert_eq(&story.fire("1").task());
    expect![["ScheduleActivity(work, id 3)\n"]].assert_eq(&story.complete("2", 9).task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("3", 1).task());
}

#[test]
fn a_run_that_passed_the_place_before_goes_the_old_way_to_its_end() {
    let mut old = old_code().story();
    old.task();
    old.fire("1").task();
    let mut story = deployed(patched_code(), &old);
    expect![["CompleteWorkflow\n"]].assert_eq(&story.complete("2", 1).task());
    assert_eq!(check(patched_code(), &story), Ok(()));
    assert_eq!(check(old_code(), &story), Ok(()));
}

#[test]
fn an_old_run_that_comes_to_the_place_later_has_the_patch() {
    let mut old = old_code().story();
    old.task();
    let mut story = deployed(patched_code(), &old);
    assert!(story.fire("1").task().starts_with("RecordPatch(again)"));
    story.complete("2", 9).task();
    story.complete("3", 1).task();
    assert_eq!(check(patched_code(), &story), Ok(()));
}

#[test]
fn one_answer_holds_for_the_whole_run() {
    let asks_often = || {
        workflow(|_: Rc<()>| async {
            for _ in 0..3 {
                if patched("a") && patched("a") {
                    sleep(SECOND).await?;
                } else {
                    work(1).await?;
                }
            }
            Ok(1)
        })
    };
    let mut story = asks_often().story();
    expect![["RecordPatch(a)\nUpsertSearchAttributes(TemporalChangeVersion)\nStartTimer(1)\n"]]
        .assert_eq(&story.task());
    expect![["StartTimer(2)\n"]].assert_eq(&story.fire("1").task());
    expect![["StartTimer(3)\n"]].assert_eq(&story.lose_task().fire("2").task());

    let mut old = workflow(|_: Rc<()>| async {
        for _ in 0..3 {
            work(1).await?;
        }
        Ok(1)
    })
    .story();
    old.task();
    let mut story = deployed(asks_often(), &old);
    expect![["ScheduleActivity(work, id 2)\n"]].assert_eq(&story.complete("1", 1).task());
    expect![["ScheduleActivity(work, id 3)\n"]].assert_eq(&story.complete("2", 1).task());
}

/// The commands of a task for a patch, as JSON.
fn sent(commands: &[Command]) -> String {
    use everloop_proto::temporal::api::command::v1::command::Attributes::*;
    let text = |payload: &Payload| String::from_utf8_lossy(&payload.data).into_owned();
    let lines = commands.iter().filter_map(|command| match command.attributes.as_ref().unwrap() {
        RecordMarkerCommandAttributes(marker) => {
            let details = marker.details.iter().map(|(name, detail)| format!("{name}: {}", text(&detail.payloads[0])));
            Some(format!("marker {} {}\n", marker.marker_name, details.collect::<String>()))
        }
        UpsertWorkflowSearchAttributesCommandAttributes(upsert) => {
            let fields = &upsert.search_attributes.as_ref().unwrap().indexed_fields;
            let kind = |value: &Payload| String::from_utf8_lossy(&value.metadata["type"]).into_owned();
            let fields = fields.iter().map(|(name, value)| format!("{name}: {} {}", kind(value), text(value)));
            Some(format!("attributes {}\n", fields.collect::<String>()))
        }
        _ => None,
    });
    lines.collect()
}

/// The commands and the warnings of the first task of some code.
fn first_task(code: Scripted<()>, options: RunOptions) -> (Vec<Command>, Vec<String>) {
    let mut story = code.story();
    let mut run = Run::new(story.definition.clone(), options);
    match run.begin(Task { events: story.offered(), more: false, updates: Vec::new() }) {
        Step::Complete(completion) => (completion.commands, completion.warnings),
        other => panic!("{other:?}"),
    }
}

#[test]
fn markers_and_lists_are_those_of_other_sdks() {
    let code = || {
        workflow(|_: Rc<()>| async {
            patched("second");
            deprecate_patch("first");
            Ok(1)
        })
    };
    let (commands, warnings) = first_task(code(), run_options());
    expect![[r#"
        marker core_patch patch-data: {"id":"second","deprecated":false}
        attributes TemporalChangeVersion: KeywordList ["second"]
        marker core_patch patch-data: {"id":"first","deprecated":true}
        attributes TemporalChangeVersion: KeywordList ["first","second"]
    "#]]
    .assert_eq(&sent(&commands));
    assert_eq!(warnings, [] as [&str; 0]);
    // Others could not replay the list: they learn from SDK metadata that it is there.
    let (commands, _) = first_task(code(), RunOptions { rules_supported: false, ..run_options() });
    expect![[r#"
        marker core_patch patch-data: {"id":"second","deprecated":false}
        marker core_patch patch-data: {"id":"first","deprecated":true}
    "#]]
    .assert_eq(&sent(&commands));
}

#[test]
fn a_list_that_is_too_long_is_left_out_with_a_warning() {
    let code = workflow(|_: Rc<()>| async {
        patched(&"a".repeat(2_043));
        patched(&"b".repeat(10));
        Ok(1)
    });
    let (commands, warnings) = first_task(code, run_options());
    assert_eq!(sent(&commands).matches("marker").count(), 2);
    assert_eq!(sent(&commands).matches("attributes").count(), 1);
    assert!(warnings[0].starts_with("the patch `bbbbbbbbbb` is recorded, but lists"), "{warnings:?}");
}

#[test]
fn the_old_path_and_then_the_call_can_go() {
    let with_patch = to_the_end(patched_code());
    assert_eq!(check(patched_code(), &with_patch), Ok(()));
    assert_eq!(check(deprecating_code(), &with_patch), Ok(()));

    let deprecating = to_the_end(deprecating_code());
    for code in [patched_code(), deprecating_code(), new_code()] {
        assert_eq!(check(code, &deprecating), Ok(()));
    }

    // `deprecate_patch` writes nothing into a run that has the marker, or that replayed without one.
    let mut story = patched_code().story();
    story.task();
    story.fire("1").task();
    let mut story = deployed(deprecating_code(), &story);
    expect![["ScheduleActivity(work, id 3)\n"]].assert_eq(&story.complete("2", 9).task());
    let mut without = new_code().story();
    without.task();
    without.fire("1").task();
    let mut story = deployed(deprecating_code(), &without);
    expect![["ScheduleActivity(work, id 3)\n"]].assert_eq(&story.complete("2", 9).task());
}

#[test]
fn a_call_that_went_too_early_is_named_with_the_line_to_write() {
    let with_patch = to_the_end(patched_code());
    expect![[r#"event 10: history has the patch `again`, the workflow does not ask for it: write `workflow::deprecate_patch("again")` where `workflow::patched("again")` was, and remove that when no run is left that has the patch"#]]
        .assert_eq(&check(new_code(), &with_patch).unwrap_err());
}

#[test]
fn a_patch_can_move_within_its_task() {
    let together = |asks_first: bool| {
        workflow(move |_: Rc<()>| async move {
            let mut both = asks_first && patched("both");
            let timer = spawn(sleep(SECOND));
            yield_now().await;
            both |= patched("both");
            if both {
                work(1).await?;
            }
            timer.await??;
            Ok(1)
        })
    };
    for asked_first in [true, false] {
        let mut story = together(asked_first).story();
        story.task();
        assert_eq!(check(together(!asked_first), &story), Ok(()));
    }
}

#[test]
fn helpers_coroutines_and_handlers_ask_too() {
    async fn helper() -> u32 {
        if patched("in a helper") { 1 } else { 0 }
    }
    let mut story = workflow(|total: Rc<State<u32>>| async move {
        total.add(helper().await);
        total.add(spawn(async { u32::from(patched("in a coroutine")) }).await?);
        wait_condition(|| total.get() > 100).await?;
        Ok(total.get())
    })
    .signal("signal", |total, n| async move {
        if patched("in a signal") {
            total.add(n);
        }
        Ok(())
    })
    .update(
        "update",
        |_, _| Ok(()),
        |total, n| async move {
            deprecate_patch("in an update");
            total.add(n);
            Ok(n)
        },
    )
    .story();
    let patches = |commands: String| -> Vec<String> {
        commands.lines().filter_map(|line| Some(line.strip_prefix("RecordPatch(")?.to_owned())).collect()
    };
    assert_eq!(patches(story.task()), ["in a helper)", "in a coroutine)"]);
    assert_eq!(
        patches(story.signal("signal", 1).update("u", "update", 2).task()),
        ["in a signal)", "in an update, deprecated)"]
    );
    assert_eq!(patches(story.signal("signal", 200).task()), [] as [&str; 0]);
    assert!(story.is_closed());
    let history = History::new("story", RUN_ID, story.history.clone());
    for cut in 0..history.len() {
        assert_eq!(playback::replay(&story.definition, &history, &[cut]), Ok(None));
        assert!(playback::live(&story.definition, &history, &[cut], &[1, 2]).is_ok());
    }
}

#[test]
fn readers_may_not_ask() {
    let mut story = workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        wait_condition(|| patched("a")).await?;
        Ok(1)
    })
    .query("query", |_| u32::from(patched("a")))
    .update(
        "update",
        |_, _| {
            deprecate_patch("a");
            Ok(())
        },
        |_, n| async move { Ok(n) },
    )
    .story();
    story.task();
    let failed = story.query("query").unwrap_err().failure;
    assert!(failed.message.contains("the query `query` calls `patched`: it may only read"), "{failed}");
    assert_eq!(story.update("u", "update", 1).task(), "(rejected)\n");
    let rejected = format!("{:?}", story.messages);
    assert!(story.messages.iter().any(|message| message.id == "u/reject"), "{rejected}");
    let failed = story.fire("1").try_task().unwrap_err().to_string();
    assert!(failed.contains("a condition calls `patched`: it may only read"), "{failed}");
}

#[test]
fn elsewhere_and_without_an_id_it_panics() {
    let outside = catch(|| patched("a")).unwrap_err();
    assert!(outside.message.contains("`patched` is for workflows"), "{outside}");
    let mut story = workflow(|_: Rc<()>| async { Ok(u32::from(patched(""))) }).story();
    let failed = story.try_task().unwrap_err().to_string();
    assert!(failed.contains("`patched` needs the id of a patch"), "{failed}");
}

/// Other SDKs may ask in a task of the old code and record the patch in a later one.
#[test]
fn a_marker_counts_from_its_task_on_whatever_was_found_before() {
    let code = |asks_early: bool| {
        workflow(move |_: Rc<()>| async move {
            if asks_early && patched("again") {
                work(0).await?;
            }
            sleep(SECOND).await?;
            if patched("again") {
                work(9).await?;
            }
            Ok(work(1).await?)
        })
    };
    let recorded = to_the_end(code(false));
    assert_eq!(check(code(true), &recorded), Ok(()));
}

#[test]
fn an_event_of_a_list_alone_belongs_to_a_patch() {
    let with_patch = to_the_end(patched_code());
    let is_list = |event: &HistoryEvent| {
        matches!(event.attributes, Some(Attributes::UpsertWorkflowSearchAttributesEventAttributes(_)))
    };
    assert_eq!(with_patch.history.iter().filter(|event| is_list(event)).count(), 1);
    // Recorded by an SDK or for a server that lists no patches.
    let mut without_list = with_patch.history.clone();
    let list = without_list.iter().position(is_list).unwrap();
    without_list.remove(list);
    for event in &mut without_list[list..] {
        event.event_id -= 1;
        match &mut event.attributes {
            Some(Attributes::ActivityTaskStartedEventAttributes(it)) => it.scheduled_event_id -= 1,
            Some(Attributes::ActivityTaskCompletedEventAttributes(it)) => it.scheduled_event_id -= 1,
            _ => {}
        }
    }
    assert_eq!(replay(&patched_code().story().definition, &without_list), Ok(()));
    // Another attribute is one that the workflow sets.
    let mut other = with_patch.history.clone();
    if let Some(Attributes::UpsertWorkflowSearchAttributesEventAttributes(upserted)) = &mut other[list].attributes {
        let fields = &mut upserted.search_attributes.as_mut().unwrap().indexed_fields;
        let value = fields.remove("TemporalChangeVersion").unwrap();
        fields.insert("Customer".to_owned(), value);
    }
    let message = replay(&patched_code().story().definition, &other).unwrap_err();
    assert!(message.contains("history has UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"), "{message}");
}
