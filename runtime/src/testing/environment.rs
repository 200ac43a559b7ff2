//! Workflows under test.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::checks::Checks;
use super::mocks::{self, Mock};
use crate::activity::{Activity, ActivityFn};
use crate::client::{Client, ConnectError, FailureBoard};
use crate::registry::RegisteredActivity;
use crate::worker::{Worker, WorkerBuilder};

/// How long workflow code may run without waiting, in tests: machines that test are busy.
const DEADLOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Workflows under test: an engine of its own, whose clock jumps over waiting.
///
/// Results do not wait for a fix: a failed workflow task fails `result()` at once, with its message and line. Every task is
/// replayed from what was recorded, and the whole history when the result is there: code that would come out differently
/// is found by the test, not by the next deploy.
///
/// ```
/// use everloop::prelude::*;
/// use everloop::testing::WorkflowEnvironment;
///
/// #[activity]
/// async fn remind(name: String) -> ActivityResult<bool> {
///     Err(ActivityError::non_retryable(format!("no mail in tests, not even for {name}")))
/// }
///
/// #[workflow]
/// #[derive(Default)]
/// struct Reminder {}
///
/// #[workflow]
/// impl Reminder {
///     #[run]
///     async fn run(&self, name: String) -> WorkflowResult<bool> {
///         sleep(Duration::from_secs(365 * 24 * 3600)).await?;
///         Ok(remind(name).await?)
///     }
/// }
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
/// let env = WorkflowEnvironment::start().await?;
/// env.mock(remind, |name: String| async move { Ok(name == "Ada") });
/// let worker = env.worker("test").workflow::<Reminder>().build()?;
/// let reminded = worker
///     .run_until(env.client().execute(Reminder::run("Ada".into())).task_queue("test"))
///     .await?;
/// assert_eq!(reminded, true);
/// assert!(env.time_skipped() > Duration::from_secs(364 * 24 * 3600));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct WorkflowEnvironment {
    client: Client,
    checks: Arc<Checks>,
    mocks: Mutex<BTreeMap<&'static str, RegisteredActivity>>,
}

impl WorkflowEnvironment {
    /// An engine of its own, which nobody else sees.
    ///
    /// # Errors
    /// If the engine does not start.
    pub async fn start() -> Result<Self, ConnectError> {
        Self::with(true).await
    }

    /// As [`start`](Self::start), but failed workflow tasks are tried again as in production, for tests about just that.
    ///
    /// # Errors
    /// If the engine does not start.
    pub async fn start_retrying_workflow_tasks() -> Result<Self, ConnectError> {
        Self::with(false).await
    }

    async fn with(fails_at_once: bool) -> Result<Self, ConnectError> {
        let board = Arc::new(FailureBoard::default());
        let checks =
            Checks::start(board.clone(), fails_at_once).map_err(|error| ConnectError::Engine(error.to_string()))?;
        board.check_results_with(checks.clone());
        let client = Client::builder("memory:?clock=skipping").failures(board).connect().await?;
        Ok(Self { client, checks, mocks: Mutex::default() })
    }

    /// A client of the environment's engine.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A worker of the environment's engine. Activities that are mocked need not be registered.
    pub fn worker(&self, task_queue: impl Into<String>) -> WorkerBuilder {
        let mocks = self.mocks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let checks: Arc<Checks> = self.checks.clone();
        Worker::builder(&self.client, task_queue).deadlock_timeout(DEADLOCK_TIMEOUT).mocks(mocks).observer(checks)
    }

    /// Replaces an activity in workers that are built from now on. The mock's types are those of the activity; methods of
    /// an `#[activities]` block are mocked the same way, without their value.
    pub fn mock<F, Signature, M>(&self, _activity: F, mock: M)
    where
        F: ActivityFn<Signature>,
        M: Mock<<F::Activity as Activity>::Args, <F::Activity as Activity>::Output>,
    {
        let mut mocks = self.mocks.lock().unwrap_or_else(PoisonError::into_inner);
        mocks.insert(F::Activity::NAME, mocks::registered::<F::Activity>(mock));
    }

    /// Lets the environment's time go on by `duration`, jumping where nothing happens. A result that is awaited does the
    /// same by itself.
    pub async fn sleep(&self, duration: Duration) {
        match self.client.engine_clock() {
            Some(clock) => clock.sleep(duration).await,
            None => tokio::time::sleep(duration).await,
        }
    }

    /// Lets time jump until a condition holds: `env.skip_until(async || handle.status().await.unwrap() == Paid)`.
    pub async fn skip_until(&self, condition: impl AsyncFn() -> bool) {
        let _jumping = self.client.engine_clock().map(|clock| clock.jump());
        while !condition().await {
            // Real time: the condition asks the workflow, and needs not be asked more often.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Runs a future while time may jump.
    pub async fn skipping<F: Future>(&self, future: F) -> F::Output {
        let _jumping = self.client.engine_clock().map(|clock| clock.jump());
        future.await
    }

    /// The environment's time.
    pub fn now(&self) -> SystemTime {
        self.client.engine_clock().map_or_else(SystemTime::now, |clock| clock.now())
    }

    /// How far time has jumped in all.
    pub fn time_skipped(&self) -> Duration {
        self.client.engine_clock().map(|clock| clock.skipped()).unwrap_or_default()
    }

    /// Why time moves, or does not: locks with their takers, what is under way, the next deadlines.
    pub fn explain_time(&self) -> String {
        self.client.engine_clock().map(|clock| clock.explain_time()).unwrap_or_default()
    }
}
