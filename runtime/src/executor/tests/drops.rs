//! Destructors of user code: they may read the time, may panic, and all of them run.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use super::story::{Story, workflow};
use crate::executor::{catch, install_hook};
use crate::workflow::*;

const SECOND: Duration = Duration::from_secs(1);

thread_local! {
    static DROPPED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

/// Reports when it is dropped, and panics.
struct Audit(&'static str);

impl Drop for Audit {
    fn drop(&mut self) {
        let seconds = now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let line = format!("{} of {} at {seconds}", self.0, info().workflow_id);
        DROPPED.with_borrow_mut(|dropped| dropped.push(line));
        if !std::thread::panicking() {
            panic!("the audit of {} fails", self.0);
        }
    }
}

struct Audited {
    audit: Cell<Option<Audit>>,
}

impl Default for Audited {
    fn default() -> Self {
        Self { audit: Cell::new(Some(Audit("the field"))) }
    }
}

fn audited() -> Story {
    workflow(|_: Rc<Audited>| async {
        drop(spawn(async {
            let _audit = Audit("the coroutine");
            sleep(100 * SECOND).await
        }));
        sleep(SECOND).await?;
        Ok(1)
    })
    .signal("let_go", |state, _| async move {
        drop(state.audit.take());
        Ok(())
    })
    .story()
}

fn dropped() -> Vec<String> {
    DROPPED.take()
}

#[test]
fn destructors_of_an_evicted_run_know_the_time_and_may_panic() {
    install_hook();
    let mut story = audited();
    story.after(10).task();
    assert!(catch(|| drop(story)).is_ok());
    assert_eq!(dropped(), ["the coroutine of story at 11", "the field of story at 11"]);
}

#[test]
fn destructors_of_a_run_that_ends_may_panic_and_someone_learns_of_it() {
    install_hook();
    let mut story = audited();
    story.task();
    story.fire("1").task();
    assert!(story.is_closed());
    assert_eq!(story.warnings.len(), 1, "{:?}", story.warnings);
    let warning = &story.warnings[0];
    assert!(warning.contains("the audit of the coroutine fails") && warning.contains("drops.rs:"), "{warning}");
    assert_eq!(dropped(), ["the coroutine of story at 2"]);
    assert!(catch(|| drop(story)).is_ok());
    assert_eq!(dropped(), ["the field of story at 2"]);
}

#[test]
fn a_destructor_that_panics_within_a_task_fails_the_task() {
    install_hook();
    let mut story = audited();
    story.task();
    let failure = story.signal("let_go", 0).try_task().unwrap_err().to_string();
    assert!(failure.contains("the audit of the field fails"), "{failure}");
    assert!(catch(|| drop(story)).is_ok());
    assert_eq!(dropped().len(), 2);
}

/// Counts its instances.
struct Counted(());

impl Default for Counted {
    fn default() -> Self {
        LIVE.set(LIVE.get() + 1);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
    }
}

/// A workflow that keeps its own handles: they refer to the run, and the run refers to the workflow.
#[derive(Default)]
struct KeepsHandles {
    background: RefCell<Option<JoinHandle<()>>>,
    _counted: Counted,
}

fn keeps_handles() -> Story {
    workflow(|state: Rc<KeepsHandles>| async move {
        let counted = Counted::default();
        let background = spawn(async move {
            let _counted = counted;
            std::future::pending().await
        });
        state.background.replace(Some(background));
        sleep(SECOND).await?;
        Ok(1)
    })
    .story()
}

#[test]
fn a_handle_in_a_field_does_not_keep_the_run_alive() {
    for round in 0..200 {
        let mut story = keeps_handles();
        story.task();
        if round % 2 == 1 {
            story.fire("1").task();
            assert!(story.is_closed());
        }
        drop(story);
        assert_eq!(LIVE.get(), 0, "round {round}");
    }
}

#[test]
fn coroutines_that_never_ran_are_dropped_with_the_run() {
    let mut story = workflow(|state: Rc<KeepsHandles>| async move {
        let counted = Counted::default();
        state.background.replace(Some(spawn(async move {
            let _counted = counted;
        })));
        panic!("before the coroutine's first step")
    })
    .story();
    assert!(story.try_task().is_err());
    drop(story);
    assert_eq!(LIVE.get(), 0);
}
