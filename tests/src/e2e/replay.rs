//! A run that is rebuilt from its history is the same run.

use std::{path::PathBuf, time::SystemTime};

use everloop::client::{History, ResultError, UpdateError};
use everloop::worker::WorkerBuilder;
use everloop::{prelude::*, testing::Replayer};
use everloop_proto::temporal::api::history::v1::history_event::Attributes;

use super::world::{World, everywhere, run, until};
use crate::conformance::{differences::diff, render};
use crate::random::Random;

everywhere! {
    random_values_are_the_same_on_replay,
    a_journey_that_completes,
    a_journey_that_fails,
    a_journey_that_is_cancelled,
}

/// Values that look random, and depend only on the run and its history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Drawn {
    time: SystemTime,
    number: u64,
    in_range: u64,
    fraction: f64,
    id: String,
}

#[workflow]
#[derive(Default)]
struct Draws {
    drawn: State<Vec<Drawn>>,
    rounds: State<usize>,
}

#[workflow]
impl Draws {
    #[run]
    async fn run(&self) -> WorkflowResult<Vec<Drawn>> {
        for round in 1..=4 {
            self.rounds.wait(|rounds| *rounds >= round).await?;
            self.drawn.push(Drawn {
                time: workflow::now(),
                number: workflow::random(),
                in_range: workflow::random_range(10..20),
                fraction: workflow::random(),
                id: workflow::uuid().to_string(),
            });
        }
        Ok(self.drawn.get())
    }

    #[signal]
    fn draw(&self) {
        self.rounds.add(1);
    }

    #[query]
    fn drawn(&self) -> Vec<Drawn> {
        self.drawn.get()
    }
}

async fn random_values_are_the_same_on_replay(world: World) {
    let worker = || world.worker().workflow::<Draws>();
    let (handle, cached) = run(worker(), async {
        let handle = world.client.start(Draws::run()).await.unwrap();
        for round in 0..2 {
            assert_eq!(handle.drawn().await.unwrap().len(), round);
            handle.draw().await.unwrap();
        }
        let drawn = handle.drawn().await.unwrap();
        (handle, drawn)
    })
    .await;
    let [one, two] = &cached[..] else { panic!("{cached:?}") };
    assert!(one.time < two.time && one.number != two.number && one.fraction != two.fraction && one.id != two.id);
    assert!((10..20).contains(&one.in_range) && (0.0..1.0).contains(&one.fraction), "{one:?}");

    // One worker that has only the history, and one that evicts the run after each task.
    let drawn = run(worker(), handle.drawn().into_future()).await.unwrap();
    assert_eq!(drawn, cached);
    let all = run(worker().max_cached_workflows(0), async {
        handle.draw().await.unwrap();
        assert_eq!(handle.drawn().await.unwrap()[..2], cached);
        handle.draw().await.unwrap();
        handle.result().await.unwrap()
    })
    .await;
    assert_eq!((all.len(), &all[..2]), (4, &cached[..]));

    // The time is the start of the task.
    let history = handle.history().await.unwrap();
    let started = history.events().iter();
    let started =
        started.filter(|event| matches!(event.attributes, Some(Attributes::WorkflowTaskStartedEventAttributes(_))));
    let started: Vec<_> = started.map(|event| SystemTime::try_from(event.event_time.unwrap()).unwrap()).collect();
    assert!(all.iter().all(|drawn| started.contains(&drawn.time)), "{all:?}");
}

#[activity(retry_policy(initial_interval = "1ms"))]
async fn fetch(ctx: &ActivityContext, item: String) -> ActivityResult<String> {
    match (item.as_str(), ctx.info().attempt) {
        ("moon", _) => Err(ActivityError::non_retryable("out of reach").type_name("TooFar")),
        ("star", 1) => Err(ActivityError::new("not yet")),
        _ => Ok(item.to_uppercase()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Ending {
    Complete,
    Fail,
    Cancel,
}

/// Uses many operations, one at a time, so that its events have a fixed order.
#[workflow]
#[derive(Default)]
struct Journey {
    log: State<Vec<String>>,
    /// Progress: each step waits for an external event.
    step: State<u32>,
    may_go_on: State<u32>,
}

#[workflow]
impl Journey {
    #[run]
    async fn run(&self, ending: Ending) -> WorkflowResult<Vec<String>> {
        let lamp = fetch("lamp".into()).summary("light").await?;
        self.log.push(lamp);
        let star = fetch("star".into()).await?;
        self.log.push(star);
        if let Err(failure) = fetch("moon".into()).await {
            self.log.push(failure.to_string());
        }
        sleep(Duration::from_millis(20)).summary("a rest").await?;
        let in_time = timeout(Duration::from_secs(3600), fetch("bread".into())).await?;
        self.log.push(in_time?);
        select! {
            rested = sleep(Duration::from_millis(20)) => rested?,
            rested = sleep(Duration::from_secs(3600)) => rested?,
        }
        self.wait_for(1).await?;

        let this = workflow::this::<Self>();
        let other = spawn(async move {
            this.wait_for(2).await?;
            Ok::<_, WorkflowError>(fetch("from a coroutine".into()).await?)
        });
        let other = other.await??;
        self.log.push(other);
        self.wait_for(3).await?;
        self.log.push(format!("{}", workflow::random::<u64>() == workflow::random::<u64>()));
        match ending {
            Ending::Complete => Ok(self.log.get()),
            Ending::Fail => Err(WorkflowError::new("lost").type_name("Lost").details(5)),
            Ending::Cancel => {
                let Err(cancelled) = sleep(Duration::from_secs(3600)).await else { return Ok(vec![]) };
                let home = fetch("home".into()).await?;
                self.log.push(home);
                Err(cancelled.into())
            }
        }
    }

    async fn wait_for(&self, step: u32) -> WorkflowResult<()> {
        self.step.set(step);
        wait_condition(|| self.may_go_on.get() >= step).await?;
        Ok(())
    }

    #[signal]
    fn go_on(&self, note: String) {
        self.log.push(note);
        self.may_go_on.add(1);
    }

    #[update(validator = can_trade)]
    async fn trade(&self, item: String) -> WorkflowResult<String> {
        let got = fetch(item).await?;
        self.log.push(got.clone());
        Ok(got)
    }

    fn can_trade(&self, item: &String) -> WorkflowResult<()> {
        if item == "nothing" { Err(WorkflowError::new("nothing is for free")) } else { Ok(()) }
    }

    #[query]
    fn step(&self) -> u32 {
        self.step.get()
    }

    #[query]
    fn log(&self) -> Vec<String> {
        self.log.get()
    }
}

/// Runs one journey from beginning to end. Returns its history.
async fn journey(world: &World, worker: WorkerBuilder, ending: Ending) -> History {
    run(worker.workflow::<Journey>().activity(fetch), async {
        let start = world.client.start(Journey::run(ending)).memo("note", &"of many events".to_owned());
        let handle = start.await.unwrap();
        let at = async |step| until(|| async { handle.step().await.unwrap() == step }).await;
        at(1).await;
        assert_eq!(handle.trade("oil".into()).id("one").await.unwrap(), "OIL");
        // A rejected update leaves no trace, although a task was made for it.
        for id in ["two", "three"] {
            let Err(UpdateError::Failed(failure)) = handle.trade("nothing".into()).id(id).await else { panic!() };
            assert_eq!(failure.root_message(), "nothing is for free");
        }
        handle.go_on("first".into()).await.unwrap();
        at(2).await;
        handle.untyped().signal("sing", Default::default()).await.unwrap();
        // Responds when the task of the signal is done: the update has one of its own.
        at(2).await;
        assert_eq!(handle.trade("salt".into()).id("four").await.unwrap(), "SALT");
        handle.go_on("second".into()).await.unwrap();
        at(3).await;
        handle.go_on("third".into()).await.unwrap();
        let result = match ending {
            Ending::Cancel => {
                let log = handle.log().await.unwrap();
                handle.cancel().await.unwrap();
                assert!(matches!(handle.result().await, Err(ResultError::Cancelled { .. })));
                log
            }
            Ending::Fail => {
                let Err(ResultError::Failed(failure)) = handle.result().await else { panic!("it failed") };
                assert_eq!(failure.to_string(), "Lost: lost");
                handle.log().await.unwrap()
            }
            Ending::Complete => handle.result().await.unwrap(),
        };
        let expected = [
            "LAMP",
            "STAR",
            "activity `fetch`: the activity failed: TooFar: out of reach",
            "BREAD",
            "OIL",
            "first",
            "SALT",
            "second",
            "FROM A COROUTINE",
            "third",
            "false",
        ];
        assert_eq!(result, expected);
        handle.history().await.unwrap()
    })
    .await
}

async fn a_journey_that_completes(world: World) {
    assert_cache_makes_no_difference(world, Ending::Complete).await;
}

async fn a_journey_that_fails(world: World) {
    assert_cache_makes_no_difference(world, Ending::Fail).await;
}

async fn a_journey_that_is_cancelled(world: World) {
    assert_cache_makes_no_difference(world, Ending::Cancel).await;
}

/// Two journeys must have the same events as recorded on the reference: one with a cached run, and one that is rebuilt for each
/// task.
async fn assert_cache_makes_no_difference(world: World, ending: Ending) {
    let cached = journey(&world, world.worker().max_cached_workflows(1000), ending).await;
    let forgotten = journey(&world, world.worker().max_cached_workflows(0), ending).await;
    let (with, without) = (text(&cached), text(&forgotten));
    assert!(with == without, "{}", diff(&with, &without));
    assert_same_as_on_reference(&world, ending, &with);
    for history in [cached, forgotten] {
        assert_replays_for_every_cut(&history);
    }
}

/// Returns the events, without values that differ between two runs.
fn text(history: &History) -> String {
    let mut text = String::new();
    for event in history.events() {
        let mut event = event.clone();
        match &mut event.attributes {
            // Tasks of a cached run have a queue of their own.
            Some(Attributes::WorkflowTaskScheduledEventAttributes(scheduled)) => scheduled.task_queue = None,
            Some(Attributes::WorkflowTaskCompletedEventAttributes(completed)) => {
                if let Some(metadata) = &mut completed.sdk_metadata {
                    metadata.sdk_version.clear();
                }
            }
            _ => {}
        }
        text += &render::event(&event);
    }
    render::without_ids(&text, "")
}

/// Checks that the history equals the one recorded on a real server.
fn assert_same_as_on_reference(world: &World, ending: Ending, text: &str) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join("journeys");
    let golden = folder.join(format!("{ending:?}").to_lowercase()).with_extension("txt");
    if world.target.is_reference() {
        std::fs::create_dir_all(folder).expect("the folder can be made");
        expect_test::expect_file![golden].assert_eq(text);
        return;
    }
    let recorded = std::fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
    assert!(recorded == text, "{}:\n{}", golden.display(), diff(&recorded, text));
}

/// The code must issue the same commands for every single cut of a history, and for many sets of cuts.
fn assert_replays_for_every_cut(history: &History) {
    let replayer = Replayer::new().workflow::<Journey>();
    replayer.replay(history).unwrap();
    for cut in 1..history.len() {
        replayer.replay_in_pages(history, &[cut]).unwrap_or_else(|failure| panic!("cut after {cut}: {failure}"));
    }
    for seed in 1..=200_u64 {
        let mut random = Random::new(seed);
        let mut cuts: Vec<_> = (0..1 + seed as usize % 8).map(|_| 1 + random.below(history.len() - 1)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let replayed = replayer.replay_in_pages(history, &cuts);
        replayed.unwrap_or_else(|failure| panic!("seed {seed}, cuts after {cuts:?}: {failure}"));
    }
}
