//! Tests of the test kit as users' tests use it.

mod differing;
mod failing;
mod local;
mod updates;

use std::sync::atomic::{AtomicU32, Ordering};

use everloop_proto::temporal::api::history::v1::{HistoryEvent, WorkflowExecutionStartedEventAttributes};

use super::{Replayer, WorkflowEnvironment};
use crate::client::{ExecuteError, ResultError};
use crate::prelude::*;
use crate::workflow::Workflow;

#[activity(start_to_close_timeout = "1m")]
async fn charge(amount: u32) -> ActivityResult<u32> {
    Err(ActivityError::non_retryable(format!("{amount} was really charged")))
}

struct Ledger;

#[activities]
impl Ledger {
    #[activity]
    async fn book(&self, amount: u32) -> ActivityResult<u32> {
        Ok(amount)
    }
}

#[workflow]
#[derive(Default)]
struct Order {
    stage: State<String>,
}

#[workflow]
impl Order {
    #[run]
    async fn run(&self, amount: u32) -> WorkflowResult<u32> {
        self.stage.set("waiting".into());
        sleep(Duration::from_secs(24 * 3600)).await?;
        self.stage.set("charging".into());
        let charged = charge(amount).await?;
        sleep(Duration::from_secs(24 * 3600)).await?;
        Ok(charged + Ledger::book(amount).await?)
    }

    #[query]
    fn stage(&self) -> String {
        self.stage.get()
    }
}

async fn execute<W: Workflow<Args = (u32,), Output = u32>>(
    env: &WorkflowEnvironment,
    call: WorkflowCall<W>,
) -> Result<u32, ResultError> {
    let worker = env.worker("test").workflow::<W>().build().unwrap();
    let executed = async { env.client().execute(call).id("it").await };
    match worker.run_until(executed).await {
        Ok(result) => Ok(result),
        Err(ExecuteError::Result(error)) => Err(error),
        Err(error) => panic!("it was not started: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mocks_stand_in_and_days_take_no_time() {
    let env = WorkflowEnvironment::start().await.unwrap();
    env.mock(charge, |amount: u32| async move { Ok(amount * 2) });
    env.mock(Ledger::book, |_: u32| async { Ok(1) });
    assert_eq!(execute(&env, Order::run(5)).await.unwrap(), 11);
    assert!(env.time_skipped() >= Duration::from_secs(47 * 3600), "{}", env.explain_time());
}

#[derive(Debug, ActivityFailure)]
enum TransferError {
    #[failure(non_retryable)]
    Declined {
        code: u32,
    },
    Busy,
}

#[activity(retry_policy(maximum_attempts = 2))]
async fn transfer(amount: u32) -> Result<u32, TransferError> {
    Ok(amount)
}

#[workflow]
#[derive(Default)]
struct Transfer {}

#[workflow]
impl Transfer {
    #[run]
    async fn run(&self, amount: u32) -> WorkflowResult<u32> {
        match transfer(amount).await {
            Err(CallError::Failed(TransferError::Declined { code }, _)) => Ok(code),
            Err(CallError::Failed(TransferError::Busy, _)) => Ok(0),
            other => Ok(other?),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mock_fails_with_the_error_of_its_activity() {
    let env = WorkflowEnvironment::start().await.unwrap();
    env.mock(transfer, |amount: u32| async move { Err(TransferError::Declined { code: amount + 50 }) });
    assert_eq!(execute(&env, Transfer::run(1)).await.unwrap(), 51);
    env.mock(transfer, |_: u32| async { Err(TransferError::Busy) });
    assert_eq!(execute(&env, Transfer::run(1)).await.unwrap(), 0);
    env.mock(transfer, |amount: u32| async move { Ok(amount) });
    assert_eq!(execute(&env, Transfer::run(1)).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_stands_still_until_it_is_asked_to_move() {
    let env = WorkflowEnvironment::start().await.unwrap();
    env.mock(charge, |amount: u32| async move { Ok(amount) });
    let worker = env.worker("test").workflow::<Order>().build().unwrap();
    let story = async {
        let order = env.client().start(Order::run(5)).id("it").await.unwrap();
        assert_eq!(order.stage().await.unwrap(), "waiting");
        env.sleep(Duration::from_secs(3600)).await;
        assert_eq!(order.stage().await.unwrap(), "waiting");
        env.skip_until(async || order.stage().await.unwrap() != "waiting").await;
        order.terminate("enough").await.unwrap();
    };
    worker.run_until(story).await.unwrap();
    assert!(env.time_skipped() >= Duration::from_secs(22 * 3600), "{}", env.explain_time());
}

/// Works first, keeps one state for three days, and then another one forever.
#[workflow]
#[derive(Default)]
struct Visit {
    stage: State<String>,
}

#[workflow]
impl Visit {
    #[run]
    async fn run(&self, days: u32) -> WorkflowResult<u32> {
        charge(days).await?;
        self.stage.set("there".into());
        sleep(Duration::from_secs(u64::from(days) * 24 * 3600)).await?;
        self.stage.set("gone".into());
        sleep(Duration::from_secs(365 * 24 * 3600)).await?;
        Ok(days)
    }

    #[query]
    fn stage(&self) -> String {
        self.stage.get()
    }

    #[update]
    async fn in_an_hour(&self) -> WorkflowResult<u32> {
        sleep(Duration::from_secs(3600)).await?;
        Ok(3)
    }

    /// Takes an hour. Returns the time from the start of the visit to the begin of the update.
    #[update]
    async fn asked_after(&self) -> WorkflowResult<Duration> {
        let asked = workflow::now();
        sleep(Duration::from_secs(3600)).await?;
        Ok(asked.duration_since(workflow::info().start_time)?)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skip_until_sees_every_state_that_lasts() {
    for _ in 0..20 {
        let env = WorkflowEnvironment::start().await.unwrap();
        env.mock(charge, |amount: u32| async move { Ok(amount) });
        let worker = env.worker("test").workflow::<Visit>().build().unwrap();
        let story = async {
            let visit = env.client().start(Visit::run(3)).await.unwrap();
            env.skip_until(async || visit.stage().await.unwrap() == "there").await;
            assert!(env.time_skipped() < Duration::from_secs(60), "{:?}", env.time_skipped());
            env.skip_until(async || visit.stage().await.unwrap() == "gone").await;
            let days = env.time_skipped().as_secs() / (24 * 3600 - 1);
            assert_eq!(days, 3, "{:?}", env.time_skipped());
        };
        worker.run_until(story).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_awaited_update_lets_time_jump_and_stops_it_at_its_end() {
    for _ in 0..20 {
        let env = WorkflowEnvironment::start().await.unwrap();
        env.mock(charge, |amount: u32| async move { Ok(amount) });
        let worker = env.worker("test").workflow::<Visit>().build().unwrap();
        let story = async {
            let visit = env.client().start(Visit::run(3)).await.unwrap();
            assert_eq!(visit.in_an_hour().await.unwrap(), 3);
            assert!(env.time_skipped() <= Duration::from_secs(3600), "{:?}", env.time_skipped());
            let started = visit.in_an_hour().start().await.unwrap();
            assert_eq!(started.result().await.unwrap(), 3);
            assert!(env.time_skipped() <= Duration::from_secs(7200), "{:?}", env.time_skipped());
        };
        worker.run_until(story).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_does_not_jump_before_the_call_of_skipping_is_on_its_way() {
    for _ in 0..20 {
        let env = WorkflowEnvironment::start().await.unwrap();
        env.mock(charge, |amount: u32| async move { Ok(amount) });
        let worker = env.worker("test").workflow::<Visit>().build().unwrap();
        let story = async {
            let visit = env.client().start(Visit::run(3)).await.unwrap();
            // The next deadline is days away.
            assert_eq!(visit.in_an_hour().await.unwrap(), 3);
            // Time may jump after the call, until its caller is polled; it must not jump before the call.
            let asked_after = env.skipping(async { visit.asked_after().await.unwrap() }).await;
            assert!(asked_after < Duration::from_secs(2 * 3600), "{asked_after:?}");
        };
        worker.run_until(story).await.unwrap();
    }
}

#[workflow]
#[derive(Default)]
struct Broken {}

#[workflow]
impl Broken {
    #[run]
    async fn run(&self, index: u32) -> WorkflowResult<u32> {
        sleep(Duration::from_secs(1)).await?;
        Ok([1, 2, 3][index as usize])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_task_fails_the_result_at_once_with_its_line() {
    let env = WorkflowEnvironment::start().await.unwrap();
    let error = execute(&env, Broken::run(7)).await.unwrap_err().to_string();
    assert!(error.contains("testing/tests.rs:") && error.contains("index is 7"), "{error}");
}

static CALLS: AtomicU32 = AtomicU32::new(0);

/// Calls activities in another order each time it runs.
#[workflow]
#[derive(Default)]
struct Fickle {}

#[workflow]
impl Fickle {
    #[run]
    async fn run(&self, _n: u32) -> WorkflowResult<u32> {
        if CALLS.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            sleep(Duration::from_secs(1)).await?;
        }
        Ok(charge(1).await?)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_that_comes_out_differently_is_found() {
    let env = WorkflowEnvironment::start().await.unwrap();
    env.mock(charge, |amount: u32| async move { Ok(amount) });
    let error = execute(&env, Fickle::run(1)).await.unwrap_err().to_string();
    assert!(error.contains("the replay check found: event 5: history has StartTimer(1)"), "{error}");
    assert!(error.contains("issued ScheduleActivity(charge, id 1) at runtime/src/testing/tests.rs:"), "{error}");
}

#[test]
fn bytes_that_are_no_history_are_told_from_a_history_that_differs() {
    let failure = |bytes: &[u8]| Replayer::new().workflow::<Order>().replay_bytes(bytes).unwrap_err().to_string();
    assert_eq!(failure(b""), "these bytes are no history: there are no events");
    assert!(failure(b"\xff\xff").starts_with("these bytes are no history: "), "{}", failure(b"\xff\xff"));
    let started = WorkflowExecutionStartedEventAttributes {
        workflow_type: Some(crate::raw::WorkflowType { name: "Invoice".into() }),
        workflow_id: "invoice-1".into(),
        ..Default::default()
    };
    let first = HistoryEvent { event_id: 1, attributes: Some(started.into()), ..Default::default() };
    let unknown = failure(&crate::client::History::new("", "", vec![first]).to_bytes());
    assert!(unknown.starts_with("the history of `invoice-1` (Invoice, run ) does not replay: "), "{unknown}");
    assert!(unknown.ends_with("the workflow type was not added to the replayer; there are: Order"), "{unknown}");
}

/// Sends itself more messages than a tokio task may receive without yielding.
#[workflow]
#[derive(Default)]
struct Talks {}

#[workflow]
impl Talks {
    #[run]
    async fn run(&self, count: u32) -> WorkflowResult<u32> {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        drop(spawn(async move { (0..count).for_each(|n| sender.send(n).expect("it is being received")) }));
        let mut sum = 0;
        while let Some(n) = receiver.recv().await {
            sum += n;
        }
        sleep(Duration::from_secs(1)).await?;
        Ok(sum)
    }
}

#[tokio::test]
async fn a_history_replays_inside_a_tokio_task() {
    let env = WorkflowEnvironment::start().await.unwrap();
    assert_eq!(execute(&env, Talks::run(200)).await.unwrap(), 19_900);
    let history = env.client().workflow_handle::<Talks>("it").history().await.unwrap();
    Replayer::new().workflow::<Talks>().replay(&history).unwrap();
}

/// Schedules an activity that every engine rejects.
#[workflow]
#[derive(Default)]
struct Refused {}

#[workflow]
impl Refused {
    #[run]
    async fn run(&self, amount: u32) -> WorkflowResult<u32> {
        Ok(charge(amount).task_queue("q".repeat(2000)).await?)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_the_engine_refuses_fails_the_result_at_once() {
    let env = WorkflowEnvironment::start().await.unwrap();
    env.mock(charge, |amount: u32| async move { Ok(amount) });
    let error = execute(&env, Refused::run(1)).await.unwrap_err().to_string();
    assert!(error.starts_with("a task of workflow `it` failed: ") && error.contains("length"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activity_that_fails_for_ever_fails_the_result_with_its_last_failure() {
    let env = WorkflowEnvironment::start().await.unwrap();
    env.mock(charge, |_: u32| async { Err(ActivityError::new("a typo")) });
    let error = execute(&env, PassesOn::run(1)).await.unwrap_err().to_string();
    assert!(error.contains("the activity `charge` failed 10 times") && error.contains("a typo"), "{error}");

    let env = WorkflowEnvironment::start().await.unwrap();
    env.max_activity_attempts(2);
    env.mock(charge, |_: u32| async { Err(ActivityError::new("a typo")) });
    let error = execute(&env, PassesOn::run(1)).await.unwrap_err().to_string();
    assert!(error.contains("the activity `charge` failed 2 times"), "{error}");
}

#[workflow]
#[derive(Default)]
struct PassesOn {}

#[workflow]
impl PassesOn {
    #[run]
    async fn run(&self, amount: u32) -> WorkflowResult<u32> {
        Ok(charge(amount).await?)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_a_queue_runs_on_that_of_the_first_worker() {
    let env = WorkflowEnvironment::start().await.unwrap();
    env.mock(charge, |amount: u32| async move { Ok(amount) });
    let error = env.client().start(PassesOn::run(1)).id("it").await.err().unwrap().to_string();
    assert!(error.starts_with("no task queue for workflow `it`: "), "{error}");
    assert!(error.ends_with("in a test environment, `env.worker(\"..\")` before the start does"), "{error}");

    let first = env.worker("first").workflow::<PassesOn>().build().unwrap();
    let _second = env.worker("second").workflow::<Order>().build().unwrap();
    let story = async {
        let started = env.client().start(PassesOn::run(4)).await.unwrap();
        assert_eq!(started.result().await.unwrap(), 4);
        assert_eq!(started.describe().await.unwrap().task_queue(), "first");
    };
    first.run_until(story).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_runs_takes_the_mocks_that_are_added() {
    let env = WorkflowEnvironment::start().await.unwrap();
    // The worker has no activities when it starts.
    let worker = env.worker("test").workflow::<PassesOn>().build().unwrap();
    let story = async {
        let waiting = env.client().start(PassesOn::run(1)).await.unwrap();
        let is_scheduled =
            async || waiting.history().await.unwrap().event_names().any(|name| name == "ActivityTaskScheduled");
        env.skip_until(is_scheduled).await;
        env.mock(charge, |amount: u32| async move { Ok(amount + 10) });
        assert_eq!(waiting.result().await.unwrap(), 11);
        env.mock(charge, |amount: u32| async move { Ok(amount + 20) });
        assert_eq!(env.client().execute(PassesOn::run(1)).await.unwrap(), 21);
    };
    worker.run_until(story).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mock_replaces_a_registered_activity_of_a_worker_that_was_built_before() {
    let env = WorkflowEnvironment::start().await.unwrap();
    let worker = env.worker("test").workflow::<PassesOn>().activity(charge).build().unwrap();
    env.mock(charge, |amount: u32| async move { Ok(amount * 3) });
    assert_eq!(worker.run_until(env.client().execute(PassesOn::run(2))).await.unwrap(), 6);
}
