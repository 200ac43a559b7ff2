//! Runs scenarios on every target and compares their transcripts with those of the reference server.
//!
//! Scenarios mostly wait, so they run concurrently on one runtime; each test waits for its own.

use std::{
    collections::HashMap,
    env,
    panic::resume_unwind,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::{OnceCell, Semaphore},
    task::JoinHandle,
    time::timeout,
};

use super::{differences, scenarios::all, script::Script};
use crate::target::{Connection, Target};

/// A scenario: its name and its function.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) run: for<'a> fn(&'a mut Script) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
}

/// Lists the scenarios of a module, and makes a test of each.
macro_rules! scenarios {
    ($module:literal: $($name:ident),* $(,)?) => {
        pub(in crate::conformance) const ALL: &[crate::conformance::suite::Scenario] = &[
            $(crate::conformance::suite::Scenario {
                name: concat!($module, "/", stringify!($name)),
                run: |script| Box::pin($name(script)),
            }),*
        ];

        mod same_everywhere {
            $(#[test]
            fn $name() {
                crate::conformance::suite::check(concat!($module, "/", stringify!($name)));
            })*
        }
    };
}
pub(super) use scenarios;

/// Maximum number of concurrent scenarios on one target.
const SIDE_BY_SIDE: usize = 12;

/// Timeout of a scenario, long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);

static SUITE: LazyLock<Suite> = LazyLock::new(Suite::new);

/// Waits for the scenario on every target, and fails if a transcript differs from the reference's.
pub(super) fn check(name: &str) {
    for (target, outcome) in SUITE.outcomes(name) {
        let text = SUITE.runtime.block_on(outcome).unwrap_or_else(|error| {
            eprintln!("{name} on {target:?}");
            resume_unwind(error.into_panic())
        });
        compare(name, &target, &text);
    }
}

fn compare(name: &str, target: &Target, text: &str) {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name).with_extension("txt");
    if target.is_reference() {
        std::fs::create_dir_all(golden.parent().expect("it has a folder")).expect("the folder can be made");
        expect_test::expect_file![golden].assert_eq(text);
        return;
    }
    assert!(
        env::var_os("UPDATE_EXPECT").is_none(),
        "expected texts come from the reference only: set EVERLOOP_TEST_TARGET"
    );
    let theirs = std::fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
    let expected = differences::without_wording(&differences::apply(name, theirs));
    let got = differences::without_wording(text);
    assert!(expected == got, "{name} on {target:?}:\n{}", differences::diff(&expected, &got));
}

/// A scenario running on one target, which ends with its transcript.
type Outcome = (Target, JoinHandle<String>);

struct Suite {
    runtime: Runtime,
    started: Mutex<HashMap<&'static str, Vec<Outcome>>>,
}

impl Suite {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts");
        let suite = Self { runtime, started: Mutex::default() };
        // With a filter on the command line, only matching scenarios run.
        let arguments: Vec<_> = env::args().collect();
        let is_filter = |pair: &[String]| !pair[1].starts_with('-') && !pair[0].starts_with("--");
        if !arguments.windows(2).any(is_filter) {
            all().for_each(|scenario| suite.start(scenario));
        }
        suite
    }

    fn outcomes(&self, name: &str) -> Vec<Outcome> {
        let started = self.started.lock().expect("no test panics with the lock").remove(name);
        started.unwrap_or_else(|| {
            self.start(all().find(|scenario| scenario.name == name).expect("each test is a scenario"));
            self.outcomes(name)
        })
    }

    fn start(&self, scenario: &'static Scenario) {
        let lanes = LANES.iter().map(|lane| {
            let outcome = self.runtime.spawn(lane.run(scenario));
            (lane.target.clone(), outcome)
        });
        self.started.lock().expect("no test panics with the lock").insert(scenario.name, lanes.collect());
    }
}

static LANES: LazyLock<Vec<Lane>> = LazyLock::new(|| {
    let lane = |target| Lane { target, connection: OnceCell::new(), places: Arc::new(Semaphore::new(SIDE_BY_SIDE)) };
    Target::all().into_iter().map(lane).collect()
});

/// One target with its connection, which all its scenarios share.
struct Lane {
    target: Target,
    connection: OnceCell<Connection>,
    places: Arc<Semaphore>,
}

impl Lane {
    async fn run(&self, scenario: &Scenario) -> String {
        let _place = self.places.acquire().await.expect("the semaphore stays open");
        let connection = self.connection.get_or_init(|| self.target.connect()).await.clone();
        let mut script = Script::new(connection);
        let ended = timeout(PATIENCE, (scenario.run)(&mut script)).await.is_ok();
        assert!(ended, "no end after {PATIENCE:?}\n{}", script.transcript());
        script.transcript()
    }
}
