//! The property: for every recorded history, pages, sticky increments and evictions change no command.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use everloop_proto::temporal::api::enums::v1::EventType;
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use proptest::prelude::*;

use super::story::{Story, new_run, work, workflow};
use crate::executor::{Definition, Step, Task, Update, command};
use crate::join;
use crate::workflow::*;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Busy {
    total: State<u32>,
    stop: State<bool>,
}

/// A workflow with a bit of everything, and a server that answers in an order drawn from `choices`.
fn busy_story(choices: &[u8]) -> Story {
    let mut story = workflow(|busy: Rc<Busy>| async move {
        let beside = this::<Busy>();
        let adding = spawn(async move {
            while !beside.stop.get() && timeout(SECOND * 3, work(1)).await.is_ok() {
                beside.total.add(random::<u8>().into());
            }
        });
        let (slept, done) = join!(sleep(SECOND), work(2));
        if slept.is_ok() && done.is_ok() {
            busy.total.add(1);
        }
        wait_condition(|| busy.total.get() > 1000 || busy.stop.get()).await.ok();
        wait_condition(all_handlers_finished).await.ok();
        drop(adding);
        Ok(busy.total.get())
    })
    .signal("add", |busy, n| async move {
        busy.total.add(n);
        sleep(SECOND).await.ok();
        busy.total.add(n);
        Ok(())
    })
    .signal("stop", |busy, _| async move {
        busy.stop.set(true);
        Ok(())
    })
    .update(
        "add",
        |_, n| if n % 5 == 0 { Err(crate::WorkflowError::new("no fives")) } else { Ok(()) },
        |busy, n| async move {
            busy.total.add(n);
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

/// Feeds the whole history in pages that end at the given events.
fn replay_in_pages(definition: &Arc<dyn Definition>, history: &[HistoryEvent], cuts: &[usize]) -> Result<(), String> {
    let mut run = new_run(definition);
    let mut from = 0;
    let mut step = Step::NeedHistory;
    for to in cuts.iter().copied().chain([history.len()]) {
        let page = history[from..to].to_vec();
        let more = to < history.len();
        step = if from == 0 && matches!(step, Step::NeedHistory) && run.next_event_id() == 1 {
            run.begin(Task { events: page, more, updates: Vec::new() })
        } else {
            run.extend(page, more)
        };
        from = to;
        match &step {
            Step::NeedHistory if more => {}
            Step::Settled if !more => {}
            other => return Err(format!("after {to} events: {other:?}")),
        }
    }
    match step {
        Step::Settled => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// Where each completed task begins its outputs: `(events up to its Started, events up to the end of its outputs)`.
fn tasks(history: &[HistoryEvent]) -> Vec<(usize, usize)> {
    let completed = EventType::WorkflowTaskCompleted as i32;
    let starts = (0..history.len()).filter(|index| history[*index].event_type == completed);
    starts
        .map(|index| {
            let outputs = history[index + 1..].iter().take_while(|event| command::is_output(event)).count();
            (index, index + 1 + outputs)
        })
        .collect()
}

/// Lives through the history again as a sticky worker would, forgetting everything before each task that is listed, and
/// compares the commands of each live task with what history has.
fn live_again(definition: &Arc<dyn Definition>, history: &[HistoryEvent], evictions: &[usize]) -> Result<(), String> {
    let mut run = new_run(definition);
    let mut seen = 0;
    for (number, (start, end)) in tasks(history).into_iter().enumerate() {
        if evictions.contains(&number) {
            run = new_run(definition);
            seen = 0;
        }
        let updates = history[start + 1..end].iter().filter_map(accepted).collect();
        let mut step = run.begin(Task { events: history[seen..start].to_vec(), more: false, updates });
        seen = start;
        while let Step::Yielded = step {
            step = run.resume();
        }
        let Step::Complete(completion) = step else { return Err(format!("task {number}: {step:?}")) };
        let recorded: Vec<_> =
            history[start + 1..end].iter().map(|event| command::recorded(event).to_string()).collect();
        if completion.commands.len() != recorded.len() {
            return Err(format!("task {number}: {:?} instead of {recorded:?}", completion.commands));
        }
        // That kinds and ids agree is checked when the outputs are read with the next task.
    }
    let rest = history[seen..].to_vec();
    match run.begin(Task { events: rest, more: false, updates: Vec::new() }) {
        Step::Settled => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

fn accepted(event: &HistoryEvent) -> Option<Update> {
    use everloop_proto::temporal::api::history::v1::history_event::Attributes::*;
    match &event.attributes {
        Some(WorkflowExecutionUpdateAcceptedEventAttributes(accepted)) => {
            Some(Update::from_request(accepted.accepted_request.clone()?))
        }
        _ => None,
    }
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
        for cut in 1..history.len() {
            prop_assert_eq!(replay_in_pages(&definition, &history, &[cut]), Ok(()));
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| 1 + cut.index(history.len() - 1)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts.retain(|cut| *cut < history.len());
        prop_assert_eq!(replay_in_pages(&definition, &history, &cuts), Ok(()));
        let count = tasks(&history).len();
        let evictions: Vec<usize> = evictions.iter().map(|eviction| eviction.index(count)).collect();
        prop_assert_eq!(live_again(&definition, &history, &evictions), Ok(()));
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
