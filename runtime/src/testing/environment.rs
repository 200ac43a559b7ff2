//! Tests of workflows.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use super::checks::Checks;
use super::mocks::{self, Mock, MockCalls};
use crate::activity::{Activity, ActivityErrorOf, ActivityFn};
use crate::client::{Client, ConnectError, FailureBoard};
use crate::embedded::{EngineClock, Step};
use crate::notice::say_unless_heard;
use crate::registry::Mocks;
use crate::worker::{Worker, WorkerBuilder};

/// The deadlock timeout in tests. It is longer than by default, because machines that run tests are busy.
const DEADLOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// The real time between two checks of the condition of [`WorkflowEnvironment::skip_until`] while work is in progress.
const ASKED_EVERY: Duration = Duration::from_millis(10);
/// The real time after which a condition that does not hold is reported.
const PATIENCE: Duration = Duration::from_secs(5);

/// Real time in which [`WorkflowEnvironment::skip_until`] has found nothing to skip.
struct Idle {
    since: Instant,
    is_reported: bool,
}

impl Default for Idle {
    fn default() -> Self {
        Self { since: Instant::now(), is_reported: false }
    }
}

impl Idle {
    fn warn_once(&mut self, explain: impl Fn() -> String) {
        if self.since.elapsed() > PATIENCE && !std::mem::replace(&mut self.is_reported, true) {
            let warning =
                format!("the condition of skip_until does not hold, and time does not move on: {}", explain());
            tracing::warn!("{warning}");
            say_unless_heard(|| warning);
        }
    }
}

/// Runs workflows under test on an engine of its own, whose clock skips waiting.
///
/// Calls do not wait for a fix: once a workflow task has failed, results, updates and queries of its workflow fail at once,
/// with the task's message and line, unless [`retry_workflow_tasks`](Self::retry_workflow_tasks) is called. Every task is
/// replayed from its recorded events, and the whole history when the result is available, so that the test finds code that is
/// not deterministic before the next deploy does.
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
/// let reminded = worker.run_until(env.client().execute(Reminder::run("Ada".into()))).await?;
/// assert_eq!(reminded, true);
/// assert!(env.time_skipped() > Duration::from_secs(364 * 24 * 3600));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct WorkflowEnvironment {
    client: Client,
    clock: EngineClock,
    board: Arc<FailureBoard>,
    checks: Arc<Checks>,
    mocks: Arc<Mocks>,
}

impl WorkflowEnvironment {
    /// Starts an environment with an engine of its own.
    ///
    /// # Errors
    /// If the engine does not start.
    pub async fn start() -> Result<Self, ConnectError> {
        let board = Arc::new(FailureBoard::default());
        let checks = Checks::start(board.clone()).map_err(|error| ConnectError::Engine(error.to_string()))?;
        board.check_results_with(checks.clone());
        let client = Client::builder("memory:?clock=skipping").failures(board.clone()).connect().await?;
        let clock = client.engine_clock().cloned();
        let clock = clock.ok_or_else(|| ConnectError::Engine("it has no clock".to_owned()))?;
        Ok(Self { client, clock, board, checks, mocks: Arc::default() })
    }

    /// Retries failed workflow tasks as in production, for tests of such retries.
    ///
    /// ```
    /// # use everloop::testing::WorkflowEnvironment;
    /// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
    /// let env = WorkflowEnvironment::start().await?.retry_workflow_tasks();
    /// # drop(env);
    /// # Ok::<_, everloop::client::ConnectError>(())
    /// # }).unwrap();
    /// ```
    pub fn retry_workflow_tasks(self) -> Self {
        self.checks.retry_workflow_tasks();
        self
    }

    /// A client of the environment's engine. Workflows that it starts without a task queue use the queue of the first
    /// [`worker`](Self::worker) that was created before the start.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A builder for a worker of the environment's engine. Mocked activities need not be registered. The queue of the first
    /// worker is the default queue of starts.
    pub fn worker(&self, task_queue: impl Into<String>) -> WorkerBuilder {
        let task_queue = task_queue.into();
        self.client.default_task_queue(&task_queue);
        let worker = Worker::builder(&self.client, task_queue).deadlock_timeout(DEADLOCK_TIMEOUT);
        worker.mocks(self.mocks.clone()).backoffs_are_timers().observer(self.checks.clone())
    }

    /// Replaces an activity in all workers of the environment, including running ones. Attempts that have begun are not
    /// affected. A later mock of the same activity replaces this one. The mock's types are those of the activity, including
    /// its error; methods of an `#[activities]` block are mocked the same way, without their value.
    ///
    /// The returned value records the attempts that reach the mock.
    pub fn mock<F, Signature, M>(&self, _activity: F, mock: M) -> MockCalls<F::Activity>
    where
        F: ActivityFn<Signature>,
        M: Mock<<F::Activity as Activity>::Args, <F::Activity as Activity>::Output, ActivityErrorOf<F::Activity>>,
    {
        let (registered, calls) = mocks::registered::<F::Activity>(mock);
        self.mocks.insert(F::Activity::NAME, registered);
        calls
    }

    /// Sets the number of failures after which an activity without a limit on attempts fails the result of its workflow; the
    /// default is 10. Time jumps over the pauses between attempts, so without this limit such a test would not end.
    pub fn max_activity_attempts(&self, attempts: u32) {
        self.checks.set_max_attempts(attempts);
    }

    /// Waits until the environment's time has advanced by `duration`, and lets it jump. Awaiting a result lets time jump as
    /// well.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// Lets time jump until a condition holds: `env.skip_until(async || handle.status().await.unwrap() == Paid)`.
    ///
    /// Time stops at each deadline. The condition is checked when all work of that deadline is done, and before time jumps to
    /// the next one, so no state that lasts for some time is missed. Other calls do not let time jump meanwhile.
    ///
    /// If there is no deadline and the condition does not hold, the call waits for other parts of the test; after five seconds
    /// it reports so once, on standard error or in the log.
    ///
    /// # Panics
    /// If a task of any of the environment's workflows has failed, and no call has returned that failure before, because the
    /// condition would never hold.
    pub async fn skip_until(&self, condition: impl AsyncFn() -> bool) {
        let stepper = self.clock.step();
        let mut settled = Box::pin(stepper.settled());
        let mut idle = Idle::default();
        let reported = self.board.count();
        loop {
            // The work in progress may take long, and the condition may depend on state outside of the engine.
            let now = tokio::time::timeout(ASKED_EVERY, &mut settled).await.ok();
            if now.is_some() {
                settled.set(stepper.settled());
            }
            if condition().await {
                return;
            }
            if let Some(failed) = self.board.unseen(reported) {
                panic!("the condition of skip_until does not hold, and {failed}");
            }
            match now.map(|now| stepper.step(now)) {
                Some(Step::Jumped) => idle = Idle::default(),
                _ => idle.warn_once(|| self.explain_time()),
            }
        }
    }

    /// Runs a future while time may jump. Time does not jump before the future's first call has begun; between two of its
    /// calls, time jumps from deadline to deadline.
    pub async fn skipping<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let begun = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = begun {
            return output;
        }
        let _jumping = self.clock.jump();
        future.await
    }

    /// The environment's time.
    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The total time that was skipped.
    pub fn time_skipped(&self) -> Duration {
        self.clock.skipped()
    }

    /// Explains whether time jumps: locks with their holders, work in progress, the next deadlines.
    pub fn explain_time(&self) -> String {
        self.clock.explain_time()
    }
}
