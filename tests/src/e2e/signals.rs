//! Signals: none is lost, each is delivered once and in order.

use everloop::client::{ResultError, SignalError};
use everloop::prelude::*;

use super::world::{World, everywhere, run};

everywhere! {
    before_there_is_a_worker,
    while_it_runs,
    many_at_once,
    with_the_start,
    a_handler_that_fails_fails_the_workflow,
    after_the_end;
    waiting: a_handler_takes_its_time,
}

#[activity]
async fn spell(text: String) -> String {
    text.chars().map(String::from).collect::<Vec<_>>().join("-")
}

#[workflow]
#[derive(Default)]
struct Mailbox {
    heard: State<Vec<String>>,
    is_closed: State<bool>,
}

#[workflow]
impl Mailbox {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<String>> {
        self.heard.push("open".into());
        wait_condition(|| self.is_closed.get() && workflow::all_handlers_finished()).await?;
        Ok(self.heard.get())
    }

    #[signal]
    fn hear(&self, text: String) {
        self.heard.push(text);
    }

    /// Takes several inputs, under another name; the last one is optional.
    #[signal(name = "hear-twice")]
    fn hear_twice(&self, one: String, other: Option<u32>) {
        self.heard.push(format!("{one} {other:?}"));
    }

    #[signal]
    async fn hear_slowly(&self, text: String, wait: Duration) -> WorkflowResult<()> {
        sleep(wait).await?;
        let spelt = spell(text).await?;
        self.heard.push(spelt);
        Ok(())
    }

    #[signal]
    fn hear_number(&self, text: String) -> WorkflowResult<()> {
        let number: i32 = text.parse()?;
        self.heard.push(number.to_string());
        Ok(())
    }

    #[signal]
    fn close(&self) {
        self.is_closed.set(true);
    }

    #[query]
    fn heard(&self) -> Vec<String> {
        self.heard.get()
    }
}

async fn before_there_is_a_worker(world: World) {
    let handle = world.client.start(Mailbox::run()).await.unwrap();
    for text in ["one", "two", "three"] {
        handle.hear(text.into()).await.unwrap();
    }
    handle.hear_twice("four".into(), Some(5)).await.unwrap();
    handle.close().await.unwrap();
    let heard = run(world.worker().workflow::<Mailbox>().activity(spell), handle.result()).await.unwrap();
    // Handlers of the first task run before `run`.
    assert_eq!(heard, ["one", "two", "three", "four Some(5)", "open"]);
}

async fn while_it_runs(world: World) {
    run(world.worker().workflow::<Mailbox>().activity(spell), async {
        let handle = world.client.start(Mailbox::run()).await.unwrap();
        let mut expected = vec!["open".to_owned()];
        assert_eq!(handle.heard().await.unwrap(), expected);
        for text in ["one", "two", "three"] {
            handle.hear(text.into()).await.unwrap();
            expected.push(text.into());
            // A query sees every signal that was sent before it.
            assert_eq!(handle.heard().await.unwrap(), expected);
        }
        handle.hear_twice("four".into(), None).await.unwrap();
        expected.push("four None".into());
        handle.close().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), expected);
    })
    .await;
}

async fn many_at_once(world: World) {
    run(world.worker().workflow::<Mailbox>().activity(spell), async {
        let handle = world.client.start(Mailbox::run()).await.unwrap();
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let handle = handle.clone();
                tokio::spawn(async move {
                    for number in 0..25 {
                        handle.hear(format!("{sender} {number}")).await.unwrap();
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await.unwrap();
        }
        handle.close().await.unwrap();
        let heard = handle.result().await.unwrap();
        assert_eq!(heard.len(), 1 + 4 * 25);
        for sender in 0..4 {
            let prefix = format!("{sender} ");
            let numbers: Vec<_> = heard.iter().filter_map(|text| text.strip_prefix(&prefix)).collect();
            assert_eq!(numbers, (0..25).map(|number| number.to_string()).collect::<Vec<_>>());
        }
    })
    .await;
}

async fn with_the_start(world: World) {
    let start = |text: &str| {
        let text = text.to_owned();
        world.client.start(Mailbox::run()).id(world.id("mailbox")).signal(move |it| it.hear(text.clone()))
    };
    let handle = start("one").await.unwrap();
    // The workflow runs already: only the signal is sent.
    let again = start("two").await.unwrap();
    assert_eq!(handle.run_id(), again.run_id());
    handle.close().await.unwrap();
    let worker = || world.worker().workflow::<Mailbox>().activity(spell);
    assert_eq!(run(worker(), again.result()).await.unwrap(), ["one", "two", "open"]);
    // The run has ended: another one begins.
    let next = start("three").await.unwrap();
    assert_ne!(handle.run_id(), next.run_id());
    next.close().await.unwrap();
    assert_eq!(run(worker(), next.result()).await.unwrap(), ["three", "open"]);
}

async fn a_handler_takes_its_time(world: World) {
    run(world.worker().workflow::<Mailbox>().activity(spell), async {
        let handle = world.client.start(Mailbox::run()).await.unwrap();
        handle.hear_slowly("abc".into(), world.wait()).await.unwrap();
        handle.hear("quick".into()).await.unwrap();
        handle.close().await.unwrap();
        // The workflow waits for its handlers, which wait for no other code.
        let mut heard = handle.result().await.unwrap();
        heard.sort_unstable();
        assert_eq!(heard, ["a-b-c", "open", "quick"]);
        world.assert_skipped(world.wait());
    })
    .await;
}

async fn a_handler_that_fails_fails_the_workflow(world: World) {
    run(world.worker().workflow::<Mailbox>().activity(spell), async {
        let handle = world.client.start(Mailbox::run()).await.unwrap();
        handle.hear_number("12".into()).await.unwrap();
        handle.hear_number("x".into()).await.unwrap();
        let Err(ResultError::Failed(failure)) = handle.result().await else { panic!("it failed") };
        assert_eq!(failure.to_string(), "ParseIntError: invalid digit found in string");
        assert!(handle.heard().await.unwrap().contains(&"12".to_owned()));
    })
    .await;
}

async fn after_the_end(world: World) {
    run(world.worker().workflow::<Mailbox>().activity(spell), async {
        let handle = world.client.start(Mailbox::run()).await.unwrap();
        handle.close().await.unwrap();
        handle.result().await.unwrap();
        let Err(SignalError::NotFound { workflow_id, .. }) = handle.hear("late".into()).await else { panic!() };
        assert_eq!(workflow_id, handle.id());
        // A signal with a start needs no running workflow; one without does.
        let missing = world.client.workflow_handle::<Mailbox>(world.id("missing"));
        let error = missing.close().await.unwrap_err().to_string();
        assert!(error.contains(&world.id("missing")) && error.contains("there is no workflow"), "{error}");
    })
    .await;
}
