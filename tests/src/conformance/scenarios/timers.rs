//! Timers.

use super::super::{commands::*, script::Script, suite::scenarios};

scenarios!["timers":
    one_timer,
    a_timer_of_no_time,
    cancelled,
    started_and_cancelled_at_once,
    an_id_is_free_again,
    one_of_two,
    fired_while_a_task_is_started,
    cancelled_after_it_fired,
    closing_over_a_timer_that_fired,
    commands_that_are_wrong,
];

/// B: one timer.
async fn one_timer(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("t", seconds(1))]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn a_timer_of_no_time(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("zero", seconds(0))]).await;
    s.task([start_timer("none", None)]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn cancelled(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("t", seconds(60))]).await;
    s.signal("wf", "wake").await;
    s.task([cancel_timer("t"), complete_workflow()]).await;
    s.history("wf").await;
}

async fn started_and_cancelled_at_once(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("t", seconds(60)), cancel_timer("t")]).await;
    s.history("wf").await;
}

async fn an_id_is_free_again(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("t", seconds(60)), cancel_timer("t"), start_timer("t", millis(100))]).await;
    s.task([start_timer("t", millis(100))]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn one_of_two(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("long", seconds(60)), start_timer("short", millis(200))]).await;
    s.task([cancel_timer("long"), complete_workflow()]).await;
    s.history("wf").await;
}

async fn fired_while_a_task_is_started(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("t", seconds(1))]).await;
    s.signal("wf", "wake").await;
    let task = s.poll().await;
    s.pass(seconds(3)).await;
    s.complete(&task, []).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

/// The timer fires during the task that cancels it: history has the cancellation only.
async fn cancelled_after_it_fired(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("t", seconds(1))]).await;
    s.signal("wf", "wake").await;
    let task = s.poll().await;
    s.pass(seconds(3)).await;
    s.complete(&task, [cancel_timer("t"), complete_workflow()]).await;
    s.history("wf").await;
}

async fn closing_over_a_timer_that_fired(s: &mut Script) {
    s.start("wf").await;
    s.task([start_timer("t", seconds(1))]).await;
    s.signal("wf", "wake").await;
    let task = s.poll().await;
    s.pass(seconds(3)).await;
    s.complete_refused(&task, [complete_workflow()]).await;
    s.task([complete_workflow()]).await;
    s.history("wf").await;
}

async fn commands_that_are_wrong(s: &mut Script) {
    for (number, commands) in [
        vec![start_timer("", seconds(1))],
        vec![start_timer("negative", seconds(-1))],
        vec![start_timer("same", seconds(60)), start_timer("same", seconds(60))],
        vec![cancel_timer("unknown")],
        vec![cancel_timer("")],
    ]
    .into_iter()
    .enumerate()
    {
        let workflow = format!("wf-{number}");
        s.start(&workflow).await;
        let task = s.poll().await;
        s.complete_refused(&task, commands).await;
        s.history(&workflow).await;
        s.terminate(&workflow).await;
    }
}
