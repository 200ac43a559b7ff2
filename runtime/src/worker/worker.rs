//! A worker, from its builder to its end.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::Duration;

use everloop_proto::temporal::api::enums::v1::TaskQueueType;
use everloop_proto::temporal::api::workflowservice::v1 as wire;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::activities::Activities as Runner;
use super::closed::{FIRST_CHECK, drop_closed_runs};
use super::interceptor::WorkerInterceptor;
use super::link::Link;
use super::places::Places;
use super::polling::{ServerState, StopPolling};
use super::shell::{Observer, Shell};
use super::threads::{ThreadOptions, WorkflowThreads};
use super::until::RunUntilOutput;
use super::workflows::poll_workflow_tasks;
use crate::activity::{Activity, ActivityFn, FunctionActivity};
use crate::client::{Client, RpcError, TakesTasks};
use crate::data::{ActivityOptions, OptionError, WorkerActivityOptions};
use crate::executor::install_hook;
#[cfg(feature = "embedded")]
use crate::registry::Mocks;
use crate::registry::{Activities, Registry};
use crate::workflow::Workflow;

/// How often the watchdog looks at the workflow threads.
const WATCHDOG_INTERVAL: Duration = Duration::from_millis(100);
/// How long open polls may take to come back once a server that ends them knows that the worker stops.
const LAST_POLLS: Duration = Duration::from_secs(5);
/// The same for a server that does not end them, or does not respond.
const LAST_POLLS_WITHOUT_SERVER: Duration = Duration::from_millis(200);
/// How long activities that were cancelled may take to end.
const LAST_ACTIVITIES: Duration = Duration::from_secs(5);

/// Runs workflows and activities of one task queue.
///
/// ```no_run
/// # use everloop::prelude::*;
/// # async fn example<OneClickBuy: everloop::Workflow>() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect("memory:").await?;
/// let worker = Worker::builder(&client, "purchases").workflow::<OneClickBuy>().build()?;
/// worker.run().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a worker does nothing until it runs"]
pub struct Worker {
    shell: Arc<Shell>,
    options: Options,
    shutdown: CancellationToken,
}

/// How a worker is set up.
#[must_use = "a worker does nothing until it is built and runs"]
pub struct WorkerBuilder {
    client: Client,
    task_queue: String,
    registry: Registry,
    options: Options,
    observer: Option<Arc<dyn Observer>>,
    interceptors: Vec<Arc<dyn WorkerInterceptor>>,
}

#[derive(Debug, Clone)]
struct Options {
    max_cached_workflows: usize,
    workflow_threads: usize,
    max_workflow_tasks: usize,
    max_activities: usize,
    max_blocking_activities: usize,
    max_activities_per_second: Option<f64>,
    workflow_pollers: usize,
    activity_pollers: usize,
    deadlock_timeout: Option<Duration>,
    graceful_shutdown_timeout: Duration,
    eager_activities: bool,
    activity_options: WorkerActivityOptions,
    /// How long a cached run is idle before the server is asked whether it has ended.
    idle_check: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_cached_workflows: 1000,
            // More than that sleep and wake more than they work: engine, client and activities want cores too.
            workflow_threads: std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
            max_workflow_tasks: 100,
            max_activities: 100,
            max_blocking_activities: 100,
            max_activities_per_second: None,
            workflow_pollers: 4,
            activity_pollers: 4,
            deadlock_timeout: (!is_debugged()).then_some(Duration::from_secs(2)),
            graceful_shutdown_timeout: Duration::ZERO,
            eager_activities: true,
            activity_options: WorkerActivityOptions::default(),
            idle_check: FIRST_CHECK,
        }
    }
}

/// Why a worker was not built.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is nothing to run. Add `.workflow::<W>()`, `.activity(f)` or `.activities(value)`.
    #[error("the worker of queue `{task_queue}` has nothing registered: add `.workflow::<W>()` or `.activity(f)`")]
    Nothing {
        /// The worker's queue.
        task_queue: String,
    },
    /// Two workflows or two activities have one name. Name one of them: `#[activity(name = "..")]`.
    #[error("`{name}` is registered twice: give one of them another name, as in `#[activity(name = \"..\")]`")]
    Duplicate {
        /// The name.
        name: &'static str,
    },
    /// The task queue's name is empty.
    #[error("the task queue has no name")]
    NoTaskQueue,
    /// A number that must be at least 1 is 0.
    #[error("`{option}` must be at least 1")]
    Zero {
        /// The option.
        option: &'static str,
    },
    /// Options of activities have a value that cannot mean what it says, as a time limit of zero.
    #[error("options of {place}: {cause}")]
    ActivityOptions {
        /// Of which activities.
        place: String,
        /// Which option, and what to write.
        cause: OptionError,
    },
    /// The system gives no more threads.
    #[error("the workflow threads cannot be started: {0}")]
    Threads(std::io::Error),
}

debug_as_display!(BuildError);

/// Why a worker stopped by itself.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The server will never give this worker tasks: its namespace does not exist, say.
    #[error("the server refuses this worker: {0}; check namespace and credentials of its client")]
    Refused(RpcError),
    /// So many workflows block a thread each, and nothing is left to run others. One workflow alone, however often it is
    /// tried, does not come to this. The warnings before say which they are.
    #[error(
        "{0} workflows block a thread each; the warnings before say which: move what blocks into activities, and restart the process"
    )]
    TooManyDeadlocks(usize),
    /// A [`ShutdownHandle`] stopped the worker before the future of [`Worker::run_until`] was done.
    #[error("the worker was shut down before the future that it ran until was done")]
    ShutDown,
}

debug_as_display!(WorkerError);

impl Worker {
    /// A worker that takes the tasks of one queue.
    pub fn builder(client: &Client, task_queue: impl Into<String>) -> WorkerBuilder {
        WorkerBuilder {
            client: client.clone(),
            task_queue: task_queue.into(),
            registry: Registry::default(),
            options: Options::default(),
            observer: None,
            interceptors: Vec::new(),
        }
    }

    /// Stops the worker from elsewhere.
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        ShutdownHandle(self.shutdown.clone())
    }

    /// Runs until a [`ShutdownHandle`] stops it.
    ///
    /// # Errors
    /// Only what waiting does not mend. While the server is away it polls on.
    pub async fn run(self) -> Result<(), WorkerError> {
        self.drive(std::future::pending::<()>()).await.map(drop)
    }

    /// Runs until a future is done, and returns what it gave: one `Result` for its own errors and the worker's.
    ///
    /// The future gives a `Result` whose error can be made of a [`WorkerError`] (`Box<dyn Error>`, `anyhow::Error`, the errors
    /// of `execute`, `result`, updates and queries, or an enum with `#[from] WorkerError`), or `()` where nothing can fail, as in
    /// a test that unwraps. A call, such as `client.execute(..)`, is taken as it is.
    ///
    /// ```no_run
    /// # use everloop::prelude::*;
    /// # async fn example<Hello: everloop::Workflow<Args = (String,), Output = String>>(
    /// #     worker: Worker, client: Client, hello: everloop::WorkflowCall<Hello>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let story = async {
    ///     let greeting = client.execute(hello).task_queue("hello").await?;
    ///     println!("{greeting}");
    ///     Ok(())
    /// };
    /// worker.run_until(story).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// The future's own, else as [`run`](Self::run), else [`WorkerError::ShutDown`] if a [`ShutdownHandle`] was faster.
    pub async fn run_until<F, T, E>(self, future: F) -> Result<T, E>
    where
        F: IntoFuture<Output: RunUntilOutput<T, E>>,
        E: From<WorkerError>,
    {
        match self.drive(future.into_future()).await {
            Ok(Some(output)) => output.into_result(),
            Ok(None) => Err(WorkerError::ShutDown.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs until a future is done, and returns its output; `None` if a [`ShutdownHandle`] was faster.
    async fn drive<F: Future>(self, future: F) -> Result<Option<F::Output>, WorkerError> {
        install_hook();
        let ends_polls = self.check_namespace().await?;
        let shell = &self.shell;
        let mut pollers = JoinSet::new();
        if !shell.registry.workflows.is_empty() {
            for _ in 0..self.options.workflow_pollers {
                pollers.spawn(poll_workflow_tasks(shell.clone(), false));
                if shell.sticky_queue.is_some() {
                    pollers.spawn(poll_workflow_tasks(shell.clone(), true));
                }
            }
        }
        if !shell.registry.activities.is_empty() || shell.registry.mocks.is_some() {
            for _ in 0..self.options.activity_pollers {
                pollers.spawn(shell.activities.clone().poll_activity_tasks());
            }
        }
        if !shell.registry.workflows.is_empty() {
            let taker: Arc<dyn TakesTasks> = shell.clone();
            shell.link.client.eager_workers().add(&shell.task_queue, Arc::downgrade(&taker));
        }
        tracing::debug!(
            task_queue = shell.task_queue,
            namespace = shell.link.namespace,
            determinism = "macro lint, waker rule, no tokio context on workflow threads",
            "worker started"
        );
        let stopped = tokio::select! {
            output = future => Ok(Some(output)),
            () = self.shutdown.cancelled() => Ok(None),
            error = failed(&mut pollers) => Err(WorkerError::Refused(error)),
            blocked = watchdog(shell) => Err(WorkerError::TooManyDeadlocks(blocked)),
            never = drop_closed_runs(shell, self.options.idle_check) => match never {},
        };
        self.stop(pollers, ends_polls).await;
        stopped
    }

    /// The first call decides whether there is any point in polling. Returns whether the server ends open polls when the
    /// worker stops.
    async fn check_namespace(&self) -> Result<bool, WorkerError> {
        let namespace = self.shell.link.namespace.clone();
        let request = wire::DescribeNamespaceRequest { namespace, ..Default::default() };
        match self.shell.link.connection.call(request).await {
            Ok(reply) => {
                let capabilities = reply.namespace_info.and_then(|namespace| namespace.capabilities);
                Ok(capabilities.is_some_and(|capabilities| capabilities.worker_poll_complete_on_shutdown))
            }
            Err(error) => Err(WorkerError::Refused(error)),
        }
    }

    async fn stop(self, mut pollers: JoinSet<Result<(), RpcError>>, ends_polls: bool) {
        let Self { shell, options, .. } = self;
        let activities = &shell.activities;
        shell.stop_polling.begin.cancel();
        activities.shutdown.cancel();
        // The server releases our own queue, so that other workers get its tasks at once, and ends open polls. They are
        // not dropped before: a task may be on its way in one of them.
        let request = wire::ShutdownWorkerRequest {
            namespace: shell.link.namespace.clone(),
            sticky_task_queue: shell.sticky_queue.clone().unwrap_or_default(),
            identity: shell.link.identity.clone(),
            reason: "worker shutdown".to_owned(),
            worker_instance_key: shell.instance_key.clone(),
            task_queue: shell.task_queue.clone(),
            task_queue_types: vec![TaskQueueType::Workflow as i32, TaskQueueType::Activity as i32],
            ..Default::default()
        };
        let patience = match shell.link.connection.once(request, Duration::from_secs(1)).await {
            Ok(_) if ends_polls => LAST_POLLS,
            Ok(_) => LAST_POLLS_WITHOUT_SERVER,
            Err(error) => {
                tracing::debug!(%error, "the server does not know that the worker stops");
                LAST_POLLS_WITHOUT_SERVER
            }
        };
        let drop_late_polls = async {
            sleep(patience).await;
            shell.stop_polling.open.cancel();
            std::future::pending::<()>().await;
        };
        let all_back = async {
            while let Some(ended) = pollers.join_next().await {
                log_end_of_poller(ended);
            }
        };
        tokio::select! {
            () = all_back => {}
            () = drop_late_polls => {}
        }
        shell.tasks.close();
        activities.running.close();
        // Workflow tasks first: the responses to their completions may bring activities.
        let all_ended = async || {
            shell.tasks.wait().await;
            activities.running.wait().await;
        };
        if timeout(options.graceful_shutdown_timeout, all_ended()).await.is_ok() {
            return;
        }
        activities.cancel_all.cancel();
        let longest = options.deadlock_timeout.unwrap_or_default().saturating_add(LAST_ACTIVITIES);
        if timeout(longest, all_ended()).await.is_err() {
            tracing::warn!(
                activities = activities.running.len(),
                workflow_tasks = shell.tasks.len(),
                "activities or workflow tasks did not end when the worker stopped; their timeouts will have them tried again"
            );
        }
    }
}

/// The first poller that cannot go on.
async fn failed(pollers: &mut JoinSet<Result<(), RpcError>>) -> RpcError {
    while let Some(ended) = pollers.join_next().await {
        if let Ok(Err(error)) = ended {
            return error;
        }
        log_end_of_poller(ended);
    }
    std::future::pending().await
}

fn log_end_of_poller(ended: Result<Result<(), RpcError>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a poller ended"),
        Err(panic) => tracing::error!(%panic, "a poller stopped"),
    }
}

/// Gives up blocked threads until too many runs block one.
async fn watchdog(shell: &Shell) -> usize {
    loop {
        sleep(WATCHDOG_INTERVAL).await;
        if let Err(blocked) = shell.threads.give_up_stuck() {
            return blocked;
        }
    }
}

/// Stops a worker from elsewhere. See [`Worker::shutdown_handle`].
#[derive(Debug, Clone)]
pub struct ShutdownHandle(CancellationToken);

impl ShutdownHandle {
    /// Stops the worker: no more polls, activities are told and get their graceful time, tasks under way are completed.
    /// [`Worker::run`] returns when that is done.
    pub fn shutdown(&self) {
        self.0.cancel();
    }
}

impl WorkerBuilder {
    /// Adds a workflow type.
    pub fn workflow<W: Workflow>(mut self) -> Self {
        self.registry.workflow::<W>();
        self
    }

    /// Adds an activity: the annotated function itself.
    pub fn activity<F: ActivityFn<Signature, Activity: FunctionActivity>, Signature>(mut self, _activity: F) -> Self {
        self.registry.function::<F, Signature>();
        self
    }

    /// Adds a value with all activities of its `#[activities]` blocks.
    pub fn activities<S: Activities>(mut self, shared: S) -> Self {
        shared.register(&mut self.registry);
        self
    }

    /// How many idle workflows are kept in memory between their tasks; 1000 unless set. With 0 each task replays.
    pub fn max_cached_workflows(mut self, count: usize) -> Self {
        self.options.max_cached_workflows = count;
        self
    }

    /// How many threads run workflow code; one for every two cores unless set. Code that blocks its thread holds up the other
    /// workflows of that thread, until it is given up after the [deadlock timeout](Self::deadlock_timeout).
    pub fn workflow_threads(mut self, count: usize) -> Self {
        self.options.workflow_threads = count;
        self
    }

    /// How many workflow tasks are under way at the same time; 100 unless set. With 1, a task may be polled while the one
    /// before is under way, and waits for it.
    pub fn max_concurrent_workflow_tasks(mut self, count: usize) -> Self {
        self.options.max_workflow_tasks = count;
        self
    }

    /// How many activities run at the same time; 100 unless set.
    pub fn max_concurrent_activities(mut self, count: usize) -> Self {
        self.options.max_activities = count;
        self
    }

    /// How many of them may block a thread (`fn` instead of `async fn`); 100 unless set.
    pub fn max_concurrent_blocking_activities(mut self, count: usize) -> Self {
        self.options.max_blocking_activities = count;
        self
    }

    /// How many activities the server starts from this queue each second, for all its workers together.
    pub fn max_task_queue_activities_per_second(mut self, limit: f64) -> Self {
        self.options.max_activities_per_second = Some(limit);
        self
    }

    /// How many polls for workflow tasks are open at the same time (as many again for cached workflows); 4 unless set.
    pub fn workflow_pollers(mut self, count: usize) -> Self {
        self.options.workflow_pollers = count;
        self
    }

    /// How many polls for activities are open at the same time; 4 unless set.
    pub fn activity_pollers(mut self, count: usize) -> Self {
        self.options.activity_pollers = count;
        self
    }

    /// How long workflow code may run without waiting before its task fails; 2 s unless set, off under a debugger.
    pub fn deadlock_timeout(mut self, limit: Duration) -> Self {
        self.options.deadlock_timeout = Some(limit);
        self
    }

    /// How long activities may go on when the worker stops, before they are cancelled; no time unless set.
    pub fn graceful_shutdown_timeout(mut self, limit: Duration) -> Self {
        self.options.graceful_shutdown_timeout = limit;
        self
    }

    /// Whether activities may start with the answer to the workflow task that schedules them, without a poll; they do
    /// unless switched off.
    pub fn eager_activities(mut self, eager: bool) -> Self {
        self.options.eager_activities = eager;
        self
    }

    /// Options of all activities that this worker's workflows call, where neither the call nor the activity's attribute says
    /// otherwise. See [`ActivityOptions`] for the order.
    pub fn activity_defaults(mut self, defaults: ActivityOptions) -> Self {
        self.options.activity_options.defaults = defaults;
        self
    }

    /// Options of one activity for this worker's workflows, in place of those of its attribute; those of a call are stronger.
    /// The activity may be registered elsewhere.
    ///
    /// ```
    /// # use everloop::{ActivityOptions, prelude::*};
    /// # #[activity(start_to_close_timeout = "1m")] async fn charge(amount: u32) -> ActivityResult<()> { Ok(()) }
    /// # fn example(worker: everloop::WorkerBuilder) -> everloop::WorkerBuilder {
    /// let patient = ActivityOptions::new().start_to_close_timeout(Duration::from_secs(600));
    /// worker.override_activity_options(charge, patient)
    /// # }
    /// ```
    pub fn override_activity_options<F: ActivityFn<Signature>, Signature>(
        mut self,
        _activity: F,
        options: ActivityOptions,
    ) -> Self {
        self.options.activity_options.overrides.insert(<F::Activity as Activity>::NAME, options);
        self
    }

    /// Sees what is run, and adds headers to what workflows call. The first one added is asked first.
    pub fn interceptor(mut self, interceptor: impl WorkerInterceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    #[cfg(test)]
    pub(crate) fn idle_check(mut self, after: Duration) -> Self {
        self.options.idle_check = after;
        self
    }

    /// What runs in place of registered activities, now and later.
    #[cfg(feature = "embedded")]
    pub(crate) fn mocks(mut self, mocks: Arc<Mocks>) -> Self {
        self.registry.mocks = Some(mocks);
        self
    }

    pub(crate) fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The worker, ready to run.
    ///
    /// # Errors
    /// If nothing is registered, two things have one name, or a number makes no sense.
    pub fn build(self) -> Result<Worker, BuildError> {
        let Self { client, task_queue, registry, options, observer, interceptors } = self;
        let interceptors: Arc<[_]> = interceptors.into();
        if task_queue.is_empty() {
            return Err(BuildError::NoTaskQueue);
        }
        if registry.workflows.is_empty() && registry.activities.is_empty() {
            return Err(BuildError::Nothing { task_queue });
        }
        if let Some(name) = registry.duplicates.first() {
            return Err(BuildError::Duplicate { name });
        }
        for (option, value) in [
            ("workflow_threads", options.workflow_threads),
            ("max_concurrent_workflow_tasks", options.max_workflow_tasks),
            ("max_concurrent_activities", options.max_activities),
            ("max_concurrent_blocking_activities", options.max_blocking_activities),
            ("workflow_pollers", options.workflow_pollers),
            ("activity_pollers", options.activity_pollers),
        ] {
            if value == 0 {
                return Err(BuildError::Zero { option });
            }
        }
        let WorkerActivityOptions { overrides, defaults } = &options.activity_options;
        let of_one = overrides.iter().map(|(name, options)| (format!("activity `{name}`"), options));
        for (place, options) in of_one.chain([("all activities".to_owned(), defaults)]) {
            options.check().map_err(|cause| BuildError::ActivityOptions { place, cause })?;
        }
        let link = Link::of(&client);
        let registry = Arc::new(registry);
        let instance_key = Uuid::new_v4().to_string();
        let stop_polling = StopPolling::default();
        let server = Arc::new(ServerState::default());
        let threads = WorkflowThreads::start(ThreadOptions {
            threads: options.workflow_threads,
            max_cached: options.max_cached_workflows,
            deadlock_timeout: options.deadlock_timeout,
            name: task_queue.clone(),
        })
        .map_err(BuildError::Threads)?;
        let activities = Arc::new(Runner {
            link: link.clone(),
            registry: registry.clone(),
            task_queue: task_queue.clone(),
            instance_key: instance_key.clone(),
            slots: Arc::new(Semaphore::new(options.max_activities)),
            blocking_slots: Arc::new(Semaphore::new(options.max_blocking_activities)),
            eager: options.eager_activities,
            server: server.clone(),
            stop_polling: stop_polling.clone(),
            shutdown: CancellationToken::new(),
            cancel_all: CancellationToken::new(),
            running: TaskTracker::new(),
            max_per_second: options.max_activities_per_second,
            observer: observer.clone(),
            interceptors: interceptors.clone(),
        });
        let sticky_queue = (options.max_cached_workflows > 0).then(|| format!("{task_queue}-{instance_key}"));
        let shell = Shell {
            keeps_metadata: client.capabilities().sdk_metadata,
            link,
            task_queue,
            sticky_queue,
            instance_key,
            registry,
            activity_options: Arc::new(options.activity_options.clone()),
            threads,
            places: Places::new(options.max_workflow_tasks, options.max_cached_workflows > 0),
            activities,
            server,
            stop_polling,
            tasks: TaskTracker::new(),
            observer,
            interceptors,
        };
        Ok(Worker { shell: Arc::new(shell), options, shutdown: CancellationToken::new() })
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("task_queue", &self.shell.task_queue).finish_non_exhaustive()
    }
}

/// Whether a debugger holds this process: then a stopped workflow is no deadlock.
fn is_debugged() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")))
}
