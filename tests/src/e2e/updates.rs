//! Updates: accepted or rejected, completed, and never handled twice.

use everloop::client::{History, UpdateError, UpdateStage};
use everloop::data::Payloads;
use everloop::prelude::*;

use super::world::{World, count, event, everywhere, run};

everywhere! {
    taken_and_answered,
    rejected_without_a_trace,
    a_handler_that_fails_fails_alone,
    an_id_is_taken_once,
    many_at_once,
    more_at_once_than_the_server_admits,
    before_there_is_a_worker,
    they_see_what_was_sent_before,
    the_workflow_ends_before_the_answer,
    after_the_end;
    waiting: a_handler_takes_its_time
}

#[activity]
async fn check(amount: i64) -> ActivityResult<i64> {
    if amount > 1000 { Err(ActivityError::non_retryable("too much").type_name("TooMuch")) } else { Ok(amount) }
}

#[workflow]
#[derive(Default)]
struct Account {
    balance: State<i64>,
    is_closed: State<bool>,
}

#[workflow]
impl Account {
    /// Can end without waiting for handlers.
    #[run]
    async fn run(&self, waits: bool) -> WorkflowResult<i64> {
        wait_condition(|| self.is_closed.get() && (!waits || workflow::all_handlers_finished())).await?;
        Ok(self.balance.get())
    }

    #[signal]
    fn grant(&self, amount: i64) {
        self.balance.add(amount);
    }

    #[signal]
    fn close(&self) {
        self.is_closed.set(true);
    }

    #[update(validator = can_withdraw)]
    fn withdraw(&self, amount: i64) -> i64 {
        self.balance.add(-amount)
    }

    fn can_withdraw(&self, amount: &i64) -> WorkflowResult<()> {
        match self.balance.get() {
            balance if balance < *amount => {
                Err(WorkflowError::new(format!("there are {balance}")).type_name("Short").details(balance))
            }
            _ => Ok(()),
        }
    }

    /// Waits, lets an activity check the amount, and changes the balance.
    #[update]
    async fn deposit(&self, amount: i64, wait: Duration) -> WorkflowResult<i64> {
        sleep(wait).await?;
        let amount = check(amount).await?;
        Ok(self.balance.add(amount))
    }

    /// Completes when the balance is high enough.
    #[update(unfinished_policy = abandon)]
    async fn wait_for(&self, balance: i64) -> WorkflowResult<i64> {
        self.balance.wait(|current| *current >= balance).await?;
        Ok(self.balance.get())
    }
}

fn worker(world: &World) -> everloop::worker::WorkerBuilder {
    world.worker().workflow::<Account>().activity(check)
}

async fn account(world: &World) -> AccountHandle {
    world.client.start(Account::run(true)).await.unwrap()
}

fn updates(history: &History) -> Vec<String> {
    history.event_names().filter(|name| name.contains("Update")).collect()
}

const ACCEPTED: &str = "WorkflowExecutionUpdateAccepted";
const COMPLETED: &str = "WorkflowExecutionUpdateCompleted";
const AT_ONCE: Duration = Duration::ZERO;

async fn taken_and_answered(world: World) {
    run(worker(&world), async {
        let handle = account(&world).await;
        handle.grant(10).await.unwrap();
        assert_eq!(handle.withdraw(4).await.unwrap(), 6);
        let untyped = handle.untyped();
        assert_eq!(untyped.update::<i64>("withdraw", Payloads::of(&1).unwrap()).await.unwrap(), 5);
        handle.close().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 5);
        let history = handle.history().await.unwrap();
        assert_eq!(updates(&history), [ACCEPTED, COMPLETED, ACCEPTED, COMPLETED], "{}", history.timeline());
    })
    .await;
}

async fn rejected_without_a_trace(world: World) {
    run(worker(&world), async {
        let handle = account(&world).await;
        handle.grant(10).await.unwrap();
        assert_eq!(handle.withdraw(10).await.unwrap(), 0);
        let before = handle.history().await.unwrap();
        for _ in 0..3 {
            let Err(UpdateError::Failed(failure)) = handle.withdraw(1).await else { panic!("there is nothing left") };
            assert_eq!((failure.type_name(), failure.root_message()), (Some("Short"), "there are 0"));
            assert_eq!(failure.details().unwrap().get::<i64>(0), Some(Ok(0)));
        }
        assert_eq!(handle.history().await.unwrap().timeline(), before.timeline());
        handle.close().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 0);
    })
    .await;
}

async fn a_handler_takes_its_time(world: World) {
    run(worker(&world), async {
        let handle = account(&world).await;
        let update = handle.deposit(5, world.wait()).start().await.unwrap();
        handle.close().await.unwrap();
        // The workflow waits for its handlers. Waiting for its result skips time.
        assert_eq!(handle.result().await.unwrap(), 5);
        assert_eq!(update.result().await.unwrap(), 5);
        assert_eq!((update.workflow_id(), update.run_id()), (handle.id(), handle.run_id()));
        world.assert_skipped(world.wait());
    })
    .await;
}

async fn a_handler_that_fails_fails_alone(world: World) {
    run(worker(&world), async {
        let handle = account(&world).await;
        let Err(UpdateError::Failed(failure)) = handle.deposit(1001, AT_ONCE).await else { panic!("it is too much") };
        assert_eq!((failure.type_name(), failure.root_message()), (Some("TooMuch"), "too much"));
        assert_eq!(handle.deposit(1000, AT_ONCE).await.unwrap(), 1000);
        handle.close().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 1000);
    })
    .await;
}

async fn an_id_is_taken_once(world: World) {
    run(worker(&world), async {
        let handle = account(&world).await;
        let first = handle.deposit(5, AT_ONCE).id("first").wait_for(UpdateStage::Completed).start().await.unwrap();
        assert_eq!((first.id(), first.result().await.unwrap()), ("first", 5));
        // A repeated id is the same update: the first result is returned, regardless of the repeated call's arguments.
        assert_eq!(handle.deposit(7, AT_ONCE).id("first").await.unwrap(), 5);
        assert_eq!(handle.deposit(7, AT_ONCE).id("second").await.unwrap(), 12);
        handle.close().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 12);
        // The id is known after the end, too.
        assert_eq!(handle.deposit(7, AT_ONCE).id("first").await.unwrap(), 5);
    })
    .await;
}

async fn many_at_once(world: World) {
    run(worker(&world), async {
        let handle = account(&world).await;
        let updates: Vec<_> = (1..=8)
            .map(|amount| {
                let handle = handle.clone();
                tokio::spawn(async move { handle.deposit(amount, AT_ONCE).await.unwrap() })
            })
            .collect();
        let mut balances = Vec::new();
        for update in updates {
            balances.push(update.await.unwrap());
        }
        // Each result is of a different time, and the last one includes all updates.
        balances.sort_unstable();
        balances.dedup();
        assert_eq!((balances.len(), balances.last()), (8, Some(&36)), "{balances:?}");
        handle.close().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 36);
    })
    .await;
}

/// Servers admit ten updates of a run at a time and reject the others, which are retried, each after a different delay.
async fn more_at_once_than_the_server_admits(world: World) {
    run(worker(&world), async {
        let handle = account(&world).await;
        let updates: Vec<_> = (0..200)
            .map(|_| {
                let handle = handle.clone();
                tokio::spawn(async move { handle.deposit(1, AT_ONCE).await.map_err(|error| error.to_string()) })
            })
            .collect();
        let mut failed = Vec::new();
        for update in updates {
            failed.extend(update.await.unwrap().err());
        }
        assert!(failed.is_empty(), "{} of 200 failed, the first one: {}", failed.len(), failed[0]);
        handle.close().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 200);
    })
    .await;
}

async fn before_there_is_a_worker(world: World) {
    let handle = account(&world).await;
    let update = tokio::spawn(handle.deposit(5, AT_ONCE).into_future());
    let answer = run(worker(&world), async {
        let answer = update.await.unwrap();
        handle.close().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 5);
        answer
    });
    assert_eq!(answer.await.unwrap(), 5);
}

async fn they_see_what_was_sent_before(world: World) {
    run(worker(&world), async {
        let handle = account(&world).await;
        for round in 1..=5 {
            handle.grant(round).await.unwrap();
            assert_eq!(handle.withdraw(round).await.unwrap(), 0);
        }
        let waiting = handle.wait_for(100).start().await.unwrap();
        handle.grant(100).await.unwrap();
        assert_eq!(waiting.result().await.unwrap(), 100);
        handle.close().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 100);
    })
    .await;
}

async fn the_workflow_ends_before_the_answer(world: World) {
    run(worker(&world), async {
        let handle = world.client.start(Account::run(false)).await.unwrap();
        let update = handle.wait_for(100).start().await.unwrap();
        handle.close().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), 0);
        let error = update.result().await.unwrap_err();
        assert!(error.to_string().contains("Workflow completed"), "{error}");
        let history = event(&handle, "WorkflowExecutionCompleted").await;
        assert_eq!((count(&history, ACCEPTED), count(&history, COMPLETED)), (1, 0));
    })
    .await;
}

async fn after_the_end(world: World) {
    run(worker(&world), async {
        let handle = account(&world).await;
        handle.close().await.unwrap();
        handle.result().await.unwrap();
        let Err(UpdateError::NotFound { workflow_id, .. }) = handle.withdraw(0).await else { panic!("it has ended") };
        assert_eq!(workflow_id, handle.id());
    })
    .await;
}
