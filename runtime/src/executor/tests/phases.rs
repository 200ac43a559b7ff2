//! The results of calls in each phase of a run.

use std::rc::Rc;

use super::mismatches::timer_then_activity;
use super::story::{new_run, work, workflow};
use crate::data::Headers;
use crate::executor::{Step, Task};

#[test]
fn failed_run_returns_its_failure_from_every_later_call() {
    let recorded = timer_then_activity();
    let edited = workflow(|_: Rc<()>| async { Ok(work(1).await?) }).query("n", |_| 1).story();
    let mut run = new_run(&edited.definition);
    let task = || Task { events: recorded.history.clone(), more: false, updates: Vec::new() };
    let Step::Failed(failure) = run.begin(task()) else { panic!("another command is in the timer's place") };
    assert!(failure.to_string().contains("StartTimer(1)"), "{failure}");

    let is_same = |step| matches!(step, Step::Failed(again) if again == failure);
    assert!(is_same(run.resume()));
    assert!(is_same(run.extend(Vec::new(), false)));
    assert!(is_same(run.begin(task())));
    assert_eq!(run.query("n", &[], &Headers::new()).unwrap_err().failure.message, failure.to_string());
}
