//! Workflows under test.

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

/// How long workflow code may run without waiting, in tests: machines that test are busy.
const DEADLOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the condition of [`WorkflowEnvironment::skip_until`] is asked while something is under way, in real time.
const ASKED_EVERY: Duration = Duration::from_millis(10);
/// How long a condition may keep a test waiting in real time before it is reported.
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

/// Workflows under test: an engine of its own, whose clock jumps over waiting.
///
/// Calls do not wait for a fix: once a workflow task has failed, results, updates and queries of its workflow fail at once,
/// with the task's message and line, unless [`retry_workflow_tasks`](Self::retry_workflow_tasks) says otherwise. Every task is
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

    /// From now on, failed workflow tasks are retried as in production, for tests about just that.
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

    /// A client of the environment's engine. Workflows that it starts without a task queue run on that of the first
    /// [`worker`](Self::worker) that was made before the start.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A worker of the environment's engine. Activities that are mocked need not be registered. The queue of the first worker
    /// is also that of starts that name none.
    pub fn worker(&self, task_queue: impl Into<String>) -> WorkerBuilder {
        let task_queue = task_queue.into();
        self.client.default_task_queue(&task_queue);
        let worker = Worker::builder(&self.client, task_queue).deadlock_timeout(DEADLOCK_TIMEOUT);
        worker.mocks(self.mocks.clone()).observer(self.checks.clone())
    }

    /// Replaces an activity in all workers of the environment from now on, also in those that run already; attempts that have
    /// begun go on. A later mock of the same activity replaces this one. The mock's types are those of the activity, its error included; methods
    /// of an `#[activities]` block are mocked the same way, without their value.
    ///
    /// The attempts that reach the mock are recorded in what this returns.
    pub fn mock<F, Signature, M>(&self, _activity: F, mock: M) -> MockCalls<F::Activity>
    where
        F: ActivityFn<Signature>,
        M: Mock<<F::Activity as Activity>::Args, <F::Activity as Activity>::Output, ActivityErrorOf<F::Activity>>,
    {
        let (registered, calls) = mocks::registered::<F::Activity>(mock);
        self.mocks.insert(F::Activity::NAME, registered);
        calls
    }

    /// How often an activity whose retry policy has no limit may fail before the result of its workflow does, with the last
    /// failure; 10 unless set. Time jumps over the pauses between attempts, so such a test would never end.
    pub fn max_activity_attempts(&self, attempts: u32) {
        self.checks.set_max_attempts(attempts);
    }

    /// Lets the environment's time go on by `duration`, jumping where nothing happens. A result that is awaited does the
    /// same by itself.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// Lets time jump until a condition holds: `env.skip_until(async || handle.status().await.unwrap() == Paid)`.
    ///
    /// Time stops at each deadline. When everything that happens there is done, the condition is asked, and only then does
    /// time jump to the next one: a state that lasts any time at all is seen. Meanwhile no other call lets time jump.
    ///
    /// If there is no deadline any more and the condition does not hold, it waits for what the test does elsewhere; after
    /// five seconds one line on standard error (or in the log) says so.
    ///
    /// # Panics
    /// If a task of any of the environment's workflows has failed, and no call has returned that failure before: the condition
    /// would not come to hold.
    pub async fn skip_until(&self, condition: impl AsyncFn() -> bool) {
        let stepper = self.clock.step();
        let mut settled = Box::pin(stepper.settled());
        let mut idle = Idle::default();
        let reported = self.board.count();
        loop {
            // The work under way may take long, and the condition may depend on something that the engine does not know.
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

    /// Runs a future while time may jump. Its first call is on its way before time jumps for the first time; between two calls
    /// of it, time jumps as far as there are deadlines.
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

    /// The time that was skipped in all.
    pub fn time_skipped(&self) -> Duration {
        self.clock.skipped()
    }

    /// Explains whether time moves: locks with their holders, the work under way, the next deadlines.
    pub fn explain_time(&self) -> String {
        self.clock.explain_time()
    }
}
