//! The property: for every recorded history, pages, sticky increments and evictions change no command.

use std::rc::Rc;
use std::time::Duration;

use everloop_proto::temporal::api::history::v1::HistoryEvent;
use proptest::prelude::*;

use super::story::{RUN_ID, Story, new_run, work, workflow};
use crate::data::Failure;
use crate::executor::{Step, Task};
use crate::history::History;
use crate::join;
use crate::testing::playback::{live, replay};
use crate::workflow::*;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Busy {
    total: State<u32>,
    stop: State<bool>,
}

/// A workflow with operations of all kinds, and a server that reports results in an order chosen by `choices`.
fn busy_story(choices: &[u8]) -> Story {
    let mut story = workflow(|busy: Rc<Busy>| async move {
        let beside = this::<Busy>();
        let adding = spawn(async move {
            while !beside.stop.get() && timeout(SECOND * 3, work(1)).await.is_ok() {
                let has_patch = patched("add more");
                beside.total.add(random::<u8>().into());
                if has_patch && patched(&format!("stop at {}", beside.total.get() % 3)) {
                    sleep(SECOND).await.ok();
                }
            }
        });
        let (slept, done) = join!(sleep(SECOND), work(2));
        if slept.is_ok() && done.is_ok() {
            busy.total.add(1);
        }
        wait_condition(|| busy.total.get() > 1000 || busy.stop.get()).await.ok();
        wait_condition(all_handlers_finished).await.ok();
        drop(adding);
        if let Ok(n) = timeout(SECOND, work(3).local()).await {
            busy.total.add(n.unwrap_or_default());
        }
        Ok(busy.total.get())
    })
    .signal("add", |busy, n| async move {
        busy.total.add(n);
        sleep(SECOND).await.ok();
        let (one, two) = join!(work(n).local(), work(n).local());
        busy.total.add(n + one.unwrap_or_default() + two.unwrap_or_default());
        Ok(())
    })
    .signal("stop", |busy, _| async move {
        busy.stop.set(true);
        Ok(())
    })
    .update(
        "add",
        |_, n| if n % 5 == 0 { Err(WorkflowError::new("no fives")) } else { Ok(()) },
        |busy, n| async move {
            busy.total.add(n + work(n).local().await.unwrap_or_default());
            deprecate_patch("updates work");
            Ok(work(n).await?)
        },
    )
    .story();
    story.task();
    for (index, choice) in choices.iter().enumerate() {
        if story.is_closed() {
            return story;
        }
        let open = open_operations(&story.history);
        match choice % 8 {
            0 => drop(story.signal("add", u32::from(*choice))),
            1 => drop(story.update(&format!("u{index}"), "add", u32::from(*choice))),
            2 if index > 4 => drop(story.cancel()),
            3 => drop(story.lose_task()),
            _ => match open.get(usize::from(*choice) % open.len().max(1)) {
                Some(Open::Timer(id)) => drop(story.fire(id)),
                Some(Open::Activity(id)) if choice % 3 == 0 => drop(story.fail(id, "no")),
                Some(Open::Activity(id)) => drop(story.complete(id, 1)),
                None => drop(story.signal("add", 1)),
            },
        }
        // Local activities end some tasks later, in any order, and some never.
        let called = story.running_local();
        if let Some(seq) = called.get(usize::from(*choice) % called.len().max(1)) {
            match choice % 5 {
                0 => drop(story.backs_off(*seq, SECOND)),
                1 => drop(story.fails(*seq, Failure::application("No", "no"))),
                2 => {}
                _ => drop(story.returns(*seq, 2)),
            }
        }
        // Some tasks get several inputs.
        if choice % 2 == 0 {
            story.task();
        }
    }
    if !story.is_closed() {
        story.signal("stop", 0).task();
    }
    story
}

enum Open {
    Timer(String),
    Activity(String),
}

fn open_operations(history: &[HistoryEvent]) -> Vec<Open> {
    use everloop_proto::temporal::api::history::v1::history_event::Attributes::*;
    let mut open = std::collections::BTreeMap::new();
    let mut activities = std::collections::BTreeMap::new();
    for event in history {
        match event.attributes.clone() {
            Some(TimerStartedEventAttributes(timer)) => {
                open.insert(format!("t{}", timer.timer_id), Open::Timer(timer.timer_id));
            }
            Some(TimerFiredEventAttributes(timer)) => drop(open.remove(&format!("t{}", timer.timer_id))),
            Some(TimerCanceledEventAttributes(timer)) => drop(open.remove(&format!("t{}", timer.timer_id))),
            Some(ActivityTaskScheduledEventAttributes(activity)) => {
                activities.insert(event.event_id, activity.activity_id.clone());
                open.insert(format!("a{}", activity.activity_id), Open::Activity(activity.activity_id));
            }
            Some(ActivityTaskCompletedEventAttributes(done)) => {
                open.remove(&format!("a{}", activities[&done.scheduled_event_id]));
            }
            Some(ActivityTaskFailedEventAttributes(done)) => {
                open.remove(&format!("a{}", activities[&done.scheduled_event_id]));
            }
            _ => {}
        }
    }
    open.into_values().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pages_increments_and_evictions_change_no_command(
        choices in proptest::collection::vec(any::<u8>(), 5..40),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        evictions in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let Story { definition, history, .. } = busy_story(&choices);
        let history = History::new("story", RUN_ID, history);
        for cut in 0..history.len() {
            prop_assert_eq!(replay(&definition, &history, &[cut]), Ok(None));
        }
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(history.len())).collect();
        prop_assert_eq!(replay(&definition, &history, &cuts), Ok(None));
        let undisturbed = live(&definition, &history, &[], &[]);
        let tasks = undisturbed.as_ref().map_or(0, Vec::len);
        prop_assert!(tasks > 0, "{undisturbed:?}");
        let evictions: Vec<usize> = evictions.iter().map(|eviction| eviction.index(tasks)).collect();
        prop_assert_eq!(live(&definition, &history, &cuts, &evictions), undisturbed);
    }
}

#[test]
fn a_long_history_replays_in_turns() {
    let mut story = workflow(|_: Rc<()>| async {
        for _ in 0..500 {
            sleep(SECOND).await?;
        }
        Ok(1)
    })
    .story();
    story.task();
    for timer in 1..=500 {
        story.fire(&timer.to_string()).task();
    }
    let mut run = new_run(&story.definition);
    let mut step = run.begin(Task { events: story.history.clone(), more: false, updates: Vec::new() });
    let mut turns = 0;
    while let Step::Yielded = step {
        turns += 1;
        step = run.resume();
    }
    assert!(matches!(step, Step::Settled) && turns >= 2, "{turns} turns, then {step:?}");
}

#[test]
fn a_page_without_events_is_not_the_end() {
    let mut story = workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    story.task();
    story.fire("1").task();
    let (first, rest) = story.history.split_at(3);
    let mut run = new_run(&story.definition);
    let page = |events: &[HistoryEvent], more| Task { events: events.to_vec(), more, updates: Vec::new() };
    // The run completes its first task and stays in the cache. The next task has no events, only the token of a page.
    assert!(matches!(run.begin(page(first, false)), Step::Complete(_)));
    let step = run.begin(page(&[], true));
    assert!(matches!(step, Step::NeedHistory), "{step:?}");
    let step = run.extend(rest.to_vec(), false);
    assert!(matches!(step, Step::Settled), "{step:?}");
}
