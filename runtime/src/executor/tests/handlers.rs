//! Signals, queries and updates.

use std::rc::Rc;
use std::time::Duration;

use expect_test::expect;

use super::story::{Scripted, work, workflow};
use crate::errors::WorkflowError;
use crate::raw;
use crate::workflow::*;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Account {
    balance: State<u32>,
}

fn account() -> Scripted<Account> {
    workflow(|account: Rc<Account>| async move {
        account.balance.wait(|balance| *balance >= 100).await?;
        wait_condition(all_handlers_finished).await?;
        Ok(account.balance.get())
    })
    .signal("deposit", |account, n| async move {
        account.balance.add(n);
        Ok(())
    })
    .update(
        "withdraw",
        |account, n| match account.balance.get() {
            balance if balance < n => Err(WorkflowError::new("not enough").type_name("Overdraft")),
            _ => Ok(()),
        },
        |account, n| async move {
            account.balance.update(|balance| *balance -= n);
            Ok(work(account.balance.get()).await?)
        },
    )
    .update(
        "peek",
        |account, _| {
            account.balance.set(5);
            Ok(())
        },
        |account, _| async move { Ok(account.balance.get()) },
    )
    .query("balance", |account| account.balance.get())
    .query("misbehaving", |account| account.balance.replace(1))
    .query("drawing", |_| random())
}

#[test]
fn an_update_sees_earlier_signals_and_answers_after_its_activity() {
    let mut story = account().story();
    expect![["AcceptUpdate(u1)\nScheduleActivity(work, id 1)\n"]]
        .assert_eq(&story.signal("deposit", 10).update("u1", "withdraw", 4).task());
    assert_eq!(story.query("balance"), Ok(6));
    expect![["CompleteUpdate(u1)\n"]].assert_eq(&story.complete("1", 6).task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.signal("deposit", 94).task());
    assert_eq!(story.query("balance"), Ok(100));
}

#[test]
fn a_rejected_update_leaves_no_trace() {
    let mut story = account().story();
    story.task();
    expect![["(rejected)\n"]].assert_eq(&story.update("u1", "withdraw", 4).task());
    // A wrong name, a validator that writes, and input of another type are rejected as well.
    expect![["(rejected)\n"]].assert_eq(&story.update("u2", "wihtdraw", 4).update("u3", "peek", 1).task());
    let bodies = story.messages.iter().filter_map(|message| message.body.as_ref());
    let rejected: String = bodies.map(|body| String::from_utf8_lossy(&body.value).into_owned()).collect();
    assert!(rejected.contains("there is no update `wihtdraw`; there are: peek, withdraw"), "{rejected}");
    assert!(rejected.contains("the validator of the update `peek` wrote to a `State` at"), "{rejected}");
    assert_eq!(story.query("balance"), Ok(0));
}

/// A task with a rejection contained the events of the task before, which had accepted an update. When the server discarded the
/// task with the rejection, those events came again with the next task, and were treated as commands that the code had not
/// issued.
#[test]
fn a_task_that_history_forgets_leaves_no_trace() {
    let mut story = account().story();
    expect![["AcceptUpdate(u1)\nScheduleActivity(work, id 1)\n"]]
        .assert_eq(&story.signal("deposit", 10).update("u1", "withdraw", 4).task());
    for id in ["u2", "u3"] {
        expect![["(rejected)\n"]].assert_eq(&story.update(id, "withdraw", 40).forgotten_task());
    }
    assert_eq!(story.query("balance"), Ok(6));
    expect![["CompleteUpdate(u1)\n"]].assert_eq(&story.complete("1", 6).task());
    expect![["(rejected)\n"]].assert_eq(&story.update("u4", "withdraw", 40).forgotten_task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.signal("deposit", 94).task());
}

#[test]
fn handlers_of_the_first_task_run_before_run() {
    let mut story = workflow(|account: Rc<Account>| async move { Ok(account.balance.get()) })
        .signal("deposit", |account, n| async move {
            account.balance.add(n);
            sleep(SECOND).await?;
            Ok(())
        })
        .story();
    expect![["StartTimer(1)\nCompleteWorkflow\n"]].assert_eq(&story.signal("deposit", 5).task());
    assert_eq!(story.warnings.len(), 1);
    assert!(story.warnings[0].contains("while the signal `deposit` was still running"), "{:?}", story.warnings);
}

#[test]
fn a_query_only_reads() {
    let mut story = account().story();
    story.signal("deposit", 7).task();
    let refused = story.query("misbehaving").unwrap_err().failure.message;
    assert!(refused.contains("the query `misbehaving` wrote to a `State` at"), "{refused}");
    let refused = story.query("drawing").unwrap_err().failure.message;
    assert!(refused.contains("the query `drawing` draws a random number"), "{refused}");
    let unknown = story.query("balanec").unwrap_err().failure.message;
    assert!(unknown.contains("there is no query `balanec`; there are: balance, drawing, misbehaving"), "{unknown}");
    assert_eq!(story.query("balance"), Ok(7));
}

#[test]
fn signals_that_fit_no_handler_are_passed_over_with_a_warning() {
    let mut story = account().story();
    let text = raw::Payloads { payloads: vec![crate::data::encode(&"ten").unwrap()] };
    expect![[""]].assert_eq(&story.signal("depsoit", 5).signal_raw("deposit", Some(text)).task());
    let warnings = story.warnings.join("\n");
    assert!(warnings.contains("there is no handler for the signal `depsoit`; there are: deposit"), "{warnings}");
    assert!(warnings.contains("the signal `deposit` was passed over: argument 1 `n`: invalid type"), "{warnings}");
}

#[test]
fn an_update_accepted_in_the_closing_task_is_answered_before_the_end() {
    let mut story = workflow(|account: Rc<Account>| async move {
        account.balance.wait(|balance| *balance > 0).await?;
        Ok(1)
    })
    .update(
        "set",
        |_, _| Ok(()),
        |account, n| async move {
            account.balance.set(n);
            Ok(n)
        },
    )
    .story();
    expect![["AcceptUpdate(u1)\nCompleteUpdate(u1)\nCompleteWorkflow\n"]]
        .assert_eq(&story.update("u1", "set", 4).task());
}

#[test]
fn a_failing_signal_handler_fails_the_workflow() {
    let mut story = workflow(|_: Rc<()>| async {
        sleep(SECOND).await?;
        Ok(1)
    })
    .signal("break", |_, _| async { Err(WorkflowError::new("broken")) })
    .story();
    story.task();
    // The timer is not cancelled: the run has ended, and the server drops its timers.
    expect![["FailWorkflow\n"]].assert_eq(&story.signal("break", 0).task());
}

#[test]
fn a_task_that_delivers_nothing_moves_nothing() {
    let mut story = workflow(|account: Rc<Account>| async move {
        wait_condition(|| {
            // A condition that would observe any task.
            now() > std::time::UNIX_EPOCH + SECOND * 100 || account.balance.get() > 0
        })
        .await?;
        Ok(1)
    })
    .update("set", |_, _| Err(WorkflowError::new("never")), |_, n| async move { Ok(n) })
    .story();
    expect![[""]].assert_eq(&story.task());
    expect![[""]].assert_eq(&story.after(1000).task());
    expect![["(rejected)\n"]].assert_eq(&story.after(1000).update("u1", "set", 1).task());
}
