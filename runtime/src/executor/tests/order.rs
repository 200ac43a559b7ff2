//! Panics, ends, wakes from other threads, randomness after a reset.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use expect_test::expect;

use super::story::workflow;
use crate::executor::install_hook;
use crate::workflow::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_panic_fails_the_task_and_names_its_line() {
    install_hook();
    let mut story = workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        let nothing = [0u32; 0];
        Ok(*nothing.first().expect("there is something"))
    })
    .story();
    story.task();
    let failure = story.fire("1").try_task().unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("order.rs:") && text.contains("there is something"), "{text}");
}

#[test]
fn destructors_of_a_run_that_ended_do_no_harm() {
    struct Rude;
    impl Drop for Rude {
        fn drop(&mut self) {
            drop(spawn(async {}));
            random::<u32>();
            panic!("rude");
        }
    }
    let mut story = workflow(|_: Rc<()>| async {
        drop(spawn(async {
            let _rude = Rude;
            let _ = sleep(SECOND).await;
        }));
        yield_now().await;
        Ok(1)
    })
    .story();
    expect![["StartTimer(1)\nCompleteWorkflow\n"]].assert_eq(&story.task());
    assert!(story.is_closed());
}

#[test]
fn a_wake_from_another_thread_fails_the_next_task() {
    thread_local!(static WOKEN: RefCell<Option<std::thread::JoinHandle<()>>> = const { RefCell::new(None) });
    let mut story = workflow(|_: Rc<()>| async {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("outsider".into());
        WOKEN.set(thread.spawn(move || sender.send(()).unwrap()).ok());
        let _ = receiver.await;
        Ok(1)
    })
    .signal("go", |_, _| async { Ok(()) })
    .story();
    // Either the value is available before the workflow waits, or the wake is detected: a race, as the message explains.
    let first = story.try_task();
    WOKEN.take().unwrap().join().unwrap();
    let failure = match first {
        Ok(commands) if commands.is_empty() => story.signal("go", 0).try_task().unwrap_err().to_string(),
        Ok(commands) => return assert_eq!(commands, "CompleteWorkflow\n"),
        Err(failure) => failure.to_string(),
    };
    assert!(failure.contains("woken from the thread `outsider`"), "{failure}");
}

#[test]
fn coroutines_run_in_the_order_of_their_wakes() {
    let mut story = workflow(|order: Rc<RefCell<Vec<u32>>>| async move {
        let coroutine = |n: u32| {
            let order = order.clone();
            async move {
                sleep(SECOND).await.unwrap();
                order.borrow_mut().push(n);
            }
        };
        let (first, second, third) = (spawn(coroutine(1)), spawn(coroutine(2)), spawn(coroutine(3)));
        first.await?;
        second.await?;
        third.await?;
        Ok(order.borrow().iter().fold(0, |number, digit| number * 10 + digit))
    })
    .query("order", |order| order.borrow().iter().fold(0, |number, digit| number * 10 + digit))
    .story();
    story.task();
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("3").fire("1").fire("2").task());
    assert_eq!(story.query("order"), Ok(312));
}

#[test]
fn a_reset_starts_randomness_anew() {
    let numbers = |reset: Option<&str>| {
        let mut story = workflow(|numbers: Rc<RefCell<Vec<u32>>>| async move {
            for _ in 0..2 {
                sleep(SECOND).await?;
                numbers.borrow_mut().push(random());
            }
            Ok(0)
        })
        .query("sum", |numbers| numbers.borrow().iter().fold(0, |sum: u32, n| sum.wrapping_mul(31).wrapping_add(*n)))
        .story();
        story.task();
        story.fire("1").task();
        if let Some(run_id) = reset {
            story.reset_to(run_id);
        }
        story.fire("2").task();
        story.query("sum").unwrap()
    };
    assert_eq!(numbers(None), numbers(None));
    assert_ne!(numbers(None), numbers(Some("another")));
    assert_eq!(numbers(Some("another")), numbers(Some("another")));
}

#[test]
fn inputs_of_a_lost_task_flow_on_to_the_next() {
    let mut story = workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    expect![["StartTimer(1)\n"]].assert_eq(&story.lose_task().lose_task().task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("1").lose_task().task());
}
