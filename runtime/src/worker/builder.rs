//! The builder of workers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::activity_tasks::ActivityRunner;
use super::error::BuildError;
use super::intercepted::intercepted;
use super::interceptor::{SharedInterceptor, WorkerInterceptor};
use super::link::ServerLink;
use super::observer::Observer;
use super::options::WorkerOptions;
use super::places::Places;
use super::polling::{ServerState, StopPolling};
use super::shell::Shell;
use super::threads::{ThreadOptions, WorkflowThreads};
use super::worker::Worker;
use crate::activity::{Activity, ActivityFn, FunctionActivity};
use crate::client::Client;
use crate::data::{ActivityOptions, WorkerActivityOptions};
#[cfg(feature = "embedded")]
use crate::registry::Mocks;
use crate::registry::{Activities, Registry};
use crate::workflow::Workflow;

/// Configures a worker.
#[must_use = "a worker does nothing until it is built and runs"]
pub struct WorkerBuilder {
    client: Client,
    task_queue: String,
    registry: Registry,
    options: WorkerOptions,
    observer: Option<Arc<dyn Observer>>,
    interceptors: Vec<SharedInterceptor>,
}

impl Worker {
    /// Returns a builder for a worker of one task queue.
    pub fn builder(client: &Client, task_queue: impl Into<String>) -> WorkerBuilder {
        WorkerBuilder {
            client: client.clone(),
            task_queue: task_queue.into(),
            registry: Registry::default(),
            options: WorkerOptions::default(),
            observer: None,
            interceptors: Vec::new(),
        }
    }
}

impl WorkerBuilder {
    /// Adds a workflow type.
    pub fn workflow<W: Workflow>(mut self) -> Self {
        self.registry.workflow::<W>();
        self
    }

    /// Adds an activity, by the annotated function.
    pub fn activity<F: ActivityFn<Signature, Activity: FunctionActivity>, Signature>(mut self, _activity: F) -> Self {
        self.registry.function::<F, Signature>();
        self
    }

    /// Adds a value with all activities of its `#[activities]` blocks.
    pub fn activities<S: Activities>(mut self, shared: S) -> Self {
        shared.register(&mut self.registry);
        self
    }

    /// Sets the number of idle workflows that are kept in memory between their tasks; the default is 1000. With 0, each task
    /// replays.
    pub fn max_cached_workflows(mut self, count: usize) -> Self {
        self.options.max_cached_workflows = count;
        self
    }

    /// Sets the number of threads that run workflow code; the default is one for every two cores. Code that blocks its thread
    /// delays the other workflows of the thread until the [deadlock timeout](Self::deadlock_timeout), when the thread is
    /// replaced.
    pub fn workflow_threads(mut self, count: usize) -> Self {
        self.options.workflow_threads = count;
        self
    }

    /// Sets the number of concurrent workflow tasks; the default is 100. With 1, the worker may poll the next task while one is
    /// running; the next task then waits.
    pub fn max_concurrent_workflow_tasks(mut self, count: usize) -> Self {
        self.options.max_workflow_tasks = count;
        self
    }

    /// Sets the number of concurrent activities; the default is 100.
    pub fn max_concurrent_activities(mut self, count: usize) -> Self {
        self.options.max_activities = count;
        self
    }

    /// The number of [local activities](crate::ActivityCall::local) that run at the same time; 100 unless set.
    pub fn max_concurrent_local_activities(mut self, count: usize) -> Self {
        self.options.max_local_activities = count;
        self
    }

    /// Sets the number of concurrent activities that may block a thread (`fn` instead of `async fn`); the default is 100.
    pub fn max_concurrent_blocking_activities(mut self, count: usize) -> Self {
        self.options.max_blocking_activities = count;
        self
    }

    /// Sets the number of activities that the server starts from this queue each second, for all its workers together.
    pub fn max_task_queue_activities_per_second(mut self, limit: f64) -> Self {
        self.options.max_activities_per_second = Some(limit);
        self
    }

    /// Sets the number of open polls for workflow tasks; the default is 4. The worker opens as many again for cached
    /// workflows.
    pub fn workflow_pollers(mut self, count: usize) -> Self {
        self.options.workflow_pollers = count;
        self
    }

    /// Sets the number of open polls for activities; the default is 4.
    pub fn activity_pollers(mut self, count: usize) -> Self {
        self.options.activity_pollers = count;
        self
    }

    /// Sets the time that workflow code may run without waiting before its task fails; the default is 2 s. The limit is off
    /// under a debugger.
    pub fn deadlock_timeout(mut self, limit: Duration) -> Self {
        self.options.deadlock_timeout = Some(limit);
        self
    }

    /// Sets the time between the shutdown of the worker and the cancellation of its running activities; the default is zero.
    pub fn graceful_shutdown_timeout(mut self, limit: Duration) -> Self {
        self.options.graceful_shutdown_timeout = limit;
        self
    }

    /// Sets whether activities may start with the response to the workflow task that schedules them, without a poll; on by
    /// default.
    pub fn eager_activities(mut self, eager: bool) -> Self {
        self.options.eager_activities = eager;
        self
    }

    /// Sets the default options of all activities that this worker's workflows call. The options of the activity's attribute
    /// and of the call take precedence; see [`ActivityOptions`] for the order.
    pub fn activity_defaults(mut self, defaults: ActivityOptions) -> Self {
        self.options.activity_options.defaults = defaults;
        self
    }

    /// Sets the options of one activity for this worker's workflows. They take precedence over the activity's attribute, and
    /// the options of a call over them. The activity may be registered in another worker.
    ///
    /// ```
    /// # use everloop::{ActivityOptions, prelude::*};
    /// # #[activity(start_to_close_timeout = "1m")] async fn charge(amount: u32) -> ActivityResult<()> { Ok(()) }
    /// # fn example(worker: everloop::worker::WorkerBuilder) -> everloop::worker::WorkerBuilder {
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

    /// Adds an interceptor around activities and workflows. The first one added is the outermost: it is called first, and sees the
    /// result last.
    pub fn interceptor(mut self, interceptor: impl WorkerInterceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    #[cfg(test)]
    pub(crate) fn idle_check(mut self, after: Duration) -> Self {
        self.options.idle_check = after;
        self
    }

    /// Replaces registered activities by current and later mocks.
    #[cfg(feature = "embedded")]
    pub(crate) fn mocks(mut self, mocks: Arc<Mocks>) -> Self {
        self.registry.mocks = Some(mocks);
        self
    }

    /// Local activities wait between attempts by timers of their workflows, so that a clock can jump over each wait.
    #[cfg(feature = "embedded")]
    pub(crate) fn backoffs_are_timers(mut self) -> Self {
        self.options.backoffs_are_timers = true;
        self
    }

    pub(crate) fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Builds the worker.
    ///
    /// # Errors
    /// If nothing is registered, two workflows or activities have one name, or an option has an impossible value.
    pub fn build(self) -> Result<Worker, BuildError> {
        let Self { client, task_queue, mut registry, options, observer, interceptors } = self;
        let interceptors: Arc<[_]> = interceptors.into();
        for definition in registry.workflows.values_mut() {
            *definition = intercepted(definition.clone(), &interceptors);
        }
        if task_queue.is_empty() {
            return Err(BuildError::NoTaskQueue);
        }
        if registry.workflows.is_empty() && registry.activities.is_empty() {
            return Err(BuildError::Nothing { task_queue });
        }
        if let Some((kind, name)) = registry.duplicates.first() {
            return Err(BuildError::Duplicate { kind, name });
        }
        for (option, value) in [
            ("workflow_threads", options.workflow_threads),
            ("max_concurrent_workflow_tasks", options.max_workflow_tasks),
            ("max_concurrent_activities", options.max_activities),
            ("max_concurrent_local_activities", options.max_local_activities),
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
        let link = ServerLink::of(&client);
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
        let activities = Arc::new(ActivityRunner {
            link: link.clone(),
            registry: registry.clone(),
            task_queue: task_queue.clone(),
            instance_key: instance_key.clone(),
            slots: Arc::new(Semaphore::new(options.max_activities)),
            local_slots: Arc::new(Semaphore::new(options.max_local_activities)),
            backoffs_are_timers: options.backoffs_are_timers,
            blocking_slots: Arc::new(Semaphore::new(options.max_blocking_activities)),
            eager: options.eager_activities,
            server: server.clone(),
            stop_polling: stop_polling.clone(),
            shutdown: CancellationToken::new(),
            cancel_all: CancellationToken::new(),
            running: TaskTracker::new(),
            max_per_second: options.max_activities_per_second,
            observer: observer.clone(),
            interceptors,
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
        };
        Ok(Worker { shell: Arc::new(shell), options, shutdown: CancellationToken::new() })
    }
}
