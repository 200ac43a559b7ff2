//! Signals and updates: buffered, with the first task, accepted, rejected, completed later, and at the end.

use everloop::client::{History, UpdateError};
use everloop::prelude::*;

use super::{SHORT, work};
use crate::recorded::{
    points::{hold_at, point},
    stage::{Stage, recordings},
};

recordings! {
    buffered_messages: Mailbox;
    messages_before_the_first_task: Mailbox;
    a_signal_with_the_start: Mailbox;
    updates: Mailbox;
    the_end_meets_a_signal: Mailbox;
}

/// Keeps all messages until it is closed.
#[workflow]
#[derive(Default)]
struct Mailbox {
    letters: State<Vec<String>>,
    is_closed: State<bool>,
}

#[workflow]
impl Mailbox {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        point("start");
        self.letters.push(format!("run finds {} letters", self.letters.len()));
        sleep(SHORT).await?;
        self.letters.push(format!("awake after {}", self.letters.len()));
        self.is_closed.wait(|is_closed| *is_closed).await?;
        wait_condition(workflow::all_handlers_finished).await?;
        point("end");
        Ok(self.letters.get())
    }

    #[signal]
    fn write(&self, text: String) {
        self.letters.push(text);
    }

    #[signal]
    async fn write_twice(&self, text: String) -> WorkflowResult<()> {
        self.letters.push(format!("{text}, first"));
        sleep(SHORT).await?;
        self.letters.push(format!("{text}, second"));
        Ok(())
    }

    #[signal]
    fn close(&self) {
        self.is_closed.set(true);
    }

    #[update(validator = check)]
    fn number(&self, n: u32) -> usize {
        self.letters.push(format!("number {n}"));
        self.letters.len()
    }

    fn check(&self, n: &u32) -> WorkflowResult<()> {
        match n {
            0 => Err(WorkflowError::new("nothing is no number").type_name("Zero")),
            _ => Ok(()),
        }
    }

    #[update]
    async fn multiply(&self, n: u32) -> WorkflowResult<u32> {
        let product = work(n).await?;
        self.letters.push(format!("product {product}"));
        Ok(product)
    }

    #[update]
    async fn refuse(&self, reason: String) -> WorkflowResult<u32> {
        sleep(SHORT).await?;
        Err(WorkflowError::new(reason).type_name("Refused").details(workflow::random::<u32>()))
    }
}

async fn buffered_messages(stage: Stage) -> History {
    let mut first = hold_at(&stage.id, "start");
    stage
        .with_worker(async {
            let mailbox = stage.client.start(Mailbox::run()).id(&stage.id).await.unwrap();
            first.reached().await;
            // A worker has the first task: new events are buffered until its end.
            mailbox.write("one".into()).await.unwrap();
            mailbox.write_twice("two".into()).await.unwrap();
            mailbox.write("three".into()).await.unwrap();
            let release = async { first.release() };
            let (number, product, ()) = tokio::join!(mailbox.number(4), mailbox.multiply(5), release);
            assert_eq!((number.is_ok(), product.unwrap()), (true, 50));
            mailbox.close().await.unwrap();
            assert!(mailbox.result().await.unwrap().len() > 7);
            mailbox.history().await.unwrap()
        })
        .await
}

async fn messages_before_the_first_task(stage: Stage) -> History {
    let mailbox = stage.client.start(Mailbox::run()).id(&stage.id).await.unwrap();
    mailbox.write("one".into()).await.unwrap();
    mailbox.write_twice("two".into()).await.unwrap();
    // Updates wait for a worker; the history shows which of them had arrived when it started.
    let mut updates = tokio::task::JoinSet::new();
    for n in 3..6 {
        let mailbox = mailbox.clone();
        updates.spawn(async move { mailbox.multiply(n).await });
    }
    let rejected = mailbox.clone();
    let rejected = tokio::spawn(async move { rejected.number(0).await });
    stage
        .with_worker(async {
            for product in updates.join_all().await {
                assert!(product.unwrap() >= 30);
            }
            assert!(rejected.await.unwrap().is_err());
            mailbox.close().await.unwrap();
            let letters = mailbox.result().await.unwrap();
            assert!(letters.contains(&"run finds 2 letters".to_owned()), "{letters:?}");
            mailbox.history().await.unwrap()
        })
        .await
}

async fn a_signal_with_the_start(stage: Stage) -> History {
    stage
        .with_worker(async {
            let start = stage.client.start(Mailbox::run()).id(&stage.id);
            let mailbox = start.signal(|mailbox| mailbox.write_twice("one".into())).await.unwrap();
            mailbox.close().await.unwrap();
            assert!(mailbox.result().await.unwrap().contains(&"one, second".to_owned()));
            mailbox.history().await.unwrap()
        })
        .await
}

async fn updates(stage: Stage) -> History {
    stage
        .with_worker(async {
            let mailbox = stage.client.start(Mailbox::run()).id(&stage.id).await.unwrap();
            assert!(mailbox.number(1).id("the first").await.is_ok());
            // A rejected update leaves no trace, and neither does its task.
            for _ in 0..2 {
                let rejected = mailbox.number(0).await;
                assert!(matches!(rejected, Err(UpdateError::Failed(failure)) if failure.type_name() == Some("Zero")));
            }
            let started = mailbox.multiply(2).start().await.unwrap();
            mailbox.write("meanwhile".into()).await.unwrap();
            assert_eq!(started.result().await.unwrap(), 20);
            let (refused, product, number) =
                tokio::join!(mailbox.refuse("no".into()), mailbox.multiply(3), mailbox.number(4));
            assert_eq!((refused.is_err(), product.unwrap(), number.is_ok()), (true, 30, true));
            let unfinished = mailbox.multiply(5).start().await.unwrap();
            mailbox.close().await.unwrap();
            assert_eq!(unfinished.result().await.unwrap(), 50);
            assert!(mailbox.result().await.unwrap().contains(&"product 50".to_owned()));
            mailbox.history().await.unwrap()
        })
        .await
}

async fn the_end_meets_a_signal(stage: Stage) -> History {
    let mut last = hold_at(&stage.id, "end");
    stage
        .with_worker(async {
            let mailbox = stage.client.start(Mailbox::run()).id(&stage.id).await.unwrap();
            mailbox.close().await.unwrap();
            last.reached().await;
            // The task that would complete the workflow has not seen the signal: it fails, and is repeated.
            mailbox.write("just in time".into()).await.unwrap();
            last.release();
            assert!(mailbox.result().await.unwrap().contains(&"just in time".to_owned()));
            mailbox.history().await.unwrap()
        })
        .await
}
