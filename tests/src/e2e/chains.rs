//! Workflows that continue as new: their callers see one workflow.

use everloop::client::{ResultError, WorkflowIdConflictPolicy, WorkflowStatus};
use everloop::data::RetryPolicy;
use everloop::{prelude::*, testing::Replayer};

use super::world::{World, event, everywhere, run, until};

everywhere! {
    a_chain_has_one_result,
    everything_but_the_arguments_is_inherited,
    it_continues_as_another_workflow_on_another_queue,
    handles_follow_the_chain,
    handles_of_starts_that_found_a_later_run_belong_to_the_chain,
    signals_of_a_busy_chain_are_not_lost,
    an_update_that_no_run_accepted_reaches_the_next,
    a_helper_can_end_the_run,
    a_final_failure_is_not_retried;
    waiting: failed_runs_are_tried_again, a_schedule_runs_a_workflow_again_and_again, a_run_timeout_is_tried_again, a_chain_has_one_execution_timeout, a_next_run_can_wait
}

/// Facts of a run about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    run_id: String,
    continued: Option<String>,
    first: String,
    attempt: u32,
    memo: usize,
    run_timeout: Option<Duration>,
}

impl Seen {
    fn here() -> Self {
        let info = workflow::info();
        Self {
            run_id: info.run_id.clone(),
            continued: info.continued_run_id.clone(),
            first: info.first_execution_run_id.clone(),
            attempt: info.attempt,
            memo: info.memo.len(),
            run_timeout: info.run_timeout,
        }
    }
}

#[workflow]
#[derive(Default)]
struct Counts {}

#[workflow]
impl Counts {
    /// Counts down, one in each run, and returns what the runs saw.
    #[run]
    async fn run(&self, left: u32, seen: Vec<Seen>) -> WorkflowResult<Vec<Seen>> {
        let mut seen = seen;
        seen.push(Seen::here());
        if left > 0 {
            return continue_as_new(Self::run(left - 1, seen)).memo("left", &left).await;
        }
        Ok(seen)
    }
}

/// A subscription, whose runs wait for signals.
#[workflow]
#[derive(Default)]
struct Serves {
    numbers: State<Vec<u32>>,
    is_next: State<bool>,
    is_over: State<bool>,
}

#[workflow]
impl Serves {
    #[init]
    fn new(numbers: Vec<u32>) -> Self {
        Self { numbers: State::new(numbers), ..Self::default() }
    }

    #[run]
    async fn run(&self, numbers: Vec<u32>) -> WorkflowResult<Vec<u32>> {
        drop(numbers);
        wait_condition(|| self.is_next.get() || self.is_over.get()).await?;
        if self.is_over.get() {
            return Ok(self.numbers.get());
        }
        self.go_on().await
    }

    #[signal]
    fn add(&self, number: u32) {
        self.numbers.push(number);
    }

    #[signal]
    fn next(&self) {
        self.is_next.set(true);
    }

    #[signal]
    fn end(&self) {
        self.is_over.set(true);
    }

    #[query]
    fn numbers(&self) -> Vec<u32> {
        self.numbers.get()
    }

    #[update]
    fn total(&self) -> u32 {
        self.numbers.get().iter().sum()
    }
}

impl Serves {
    /// Its output is whatever its caller needs.
    async fn go_on<T>(&self) -> T {
        continue_as_new(Self::run(self.numbers.get())).await
    }
}

/// A workflow of another type and queue, with another output.
#[workflow]
#[derive(Default)]
struct Hands {}

#[workflow]
impl Hands {
    #[run]
    async fn run(&self, queue: String) -> String {
        continue_as_new(Counts::run(0, Vec::new())).task_queue(queue).run_timeout(Duration::from_secs(600)).await
    }
}

/// Continues after a wait, again and again.
#[workflow]
#[derive(Default)]
struct Delays {}

#[workflow]
impl Delays {
    #[run]
    async fn run(&self, wait: Duration, left: u32) -> WorkflowResult<()> {
        match left {
            0 => Ok(()),
            left => continue_as_new(Self::run(wait, left - 1)).start_delay(wait).await,
        }
    }
}

fn worker(world: &World) -> everloop::worker::WorkerBuilder {
    world
        .worker()
        .workflow::<Counts>()
        .workflow::<Serves>()
        .workflow::<Hands>()
        .workflow::<Delays>()
        .workflow::<Stumbles>()
        .workflow::<Reports>()
}

async fn a_chain_has_one_result(world: World) {
    run(worker(&world), async {
        let handle = world.client.start(Counts::run(3, Vec::new())).await.unwrap();
        let seen = handle.result().await.unwrap();
        assert_eq!(seen.len(), 4);
        let first = handle.run_id().unwrap();
        assert_eq!((seen[0].run_id.as_str(), seen[0].continued.as_deref()), (first, None));
        for pair in seen.windows(2) {
            assert_eq!(pair[1].continued.as_ref(), Some(&pair[0].run_id));
            assert_eq!((pair[1].first.as_str(), pair[1].attempt), (first, 1));
        }
        let described = handle.describe().await.unwrap();
        assert_eq!((described.status(), described.run_id()), (WorkflowStatus::Completed, seen[3].run_id.as_str()));
        let of_first = world.client.workflow_handle_of_run::<Counts>(handle.id(), first);
        assert_eq!(of_first.describe().await.unwrap().status(), WorkflowStatus::ContinuedAsNew);
        assert_eq!(of_first.result().await.unwrap(), seen, "the result of a run is that of its chain");

        let histories = handle.histories().await.unwrap();
        assert_eq!(
            histories.iter().map(|it| it.run_id()).collect::<Vec<_>>(),
            seen.iter().map(|it| &it.run_id).collect::<Vec<_>>()
        );
        let replayer = Replayer::new().workflow::<Counts>();
        for history in &histories {
            replayer.replay(history).unwrap();
        }
        let last = |index: usize| histories[index].event_names().last().unwrap().to_owned();
        assert_eq!(
            (last(0).as_str(), last(3).as_str()),
            ("WorkflowExecutionContinuedAsNew", "WorkflowExecutionCompleted")
        );
    })
    .await;
}

async fn everything_but_the_arguments_is_inherited(world: World) {
    let hour = Duration::from_secs(3600);
    run(worker(&world), async {
        let start = world.client.start(Counts::run(2, Vec::new())).memo("customer", &"ann".to_owned());
        let start = start.execution_timeout(3 * hour).run_timeout(2 * hour).task_timeout(Duration::from_secs(7));
        let handle = start.await.unwrap();
        let seen = handle.result().await.unwrap();
        // The memo `left` is added, then replaced.
        assert_eq!(seen.iter().map(|it| it.memo).collect::<Vec<_>>(), [1, 2, 2]);
        assert!(seen.iter().all(|it| it.run_timeout == Some(2 * hour)));
        let described = handle.describe().await.unwrap();
        assert_eq!(described.memo("customer"), Some(Ok("ann".to_owned())));
        assert_eq!(described.memo("left"), Some(Ok(1)));
        let limits = (described.execution_timeout(), described.run_timeout(), described.task_timeout());
        assert_eq!(limits, (Some(3 * hour), Some(2 * hour), Some(Duration::from_secs(7))));
        assert_eq!(described.task_queue(), world.queue());
    })
    .await;
}

async fn it_continues_as_another_workflow_on_another_queue(world: World) {
    let other = format!("{}-other", world.queue());
    let others = Worker::builder(&world.client, &other).workflow::<Counts>();
    run(worker(&world), async {
        let handle = world.client.start(Hands::run(other.clone())).await.unwrap();
        let seen: Vec<Seen> = run(others, handle.untyped().result()).await.unwrap();
        assert_eq!(seen[0].first, handle.run_id().unwrap());
        let described = handle.describe().await.unwrap();
        assert_eq!((described.workflow_type(), described.task_queue()), ("Counts", other.as_str()));
        assert_eq!(described.run_timeout(), Some(Duration::from_secs(600)));
    })
    .await;
}

/// Continues as new, and waits until that is done.
async fn next(handle: &ServesHandle) {
    let before = handle.describe().await.unwrap().run_id().to_owned();
    handle.next().await.unwrap();
    until(|| async { handle.describe().await.unwrap().run_id() != before }).await;
}

async fn handles_follow_the_chain(world: World) {
    run(worker(&world), async {
        let start = || world.client.start(Serves::run(Vec::new())).id(world.id("serves"));
        let handle = start().await.unwrap();
        handle.add(1).await.unwrap();
        next(&handle).await;
        // Signals, queries and updates reach the new run.
        handle.add(2).await.unwrap();
        assert_eq!(handle.numbers().await.unwrap(), [1, 2]);
        assert_eq!(handle.total().await.unwrap(), 3);
        next(&handle).await;
        handle.end().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), [1, 2]);

        let handle = start().await.unwrap();
        next(&handle).await;
        handle.cancel().await.unwrap();
        assert!(matches!(handle.result().await, Err(ResultError::Cancelled { .. })));
        let handle = start().await.unwrap();
        next(&handle).await;
        handle.terminate("over").await.unwrap();
        assert!(matches!(handle.result().await, Err(ResultError::Terminated { .. })));
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Terminated);
    })
    .await;
}

/// Such a handle took the run that it had found for the first of its chain, and its calls were rejected.
async fn handles_of_starts_that_found_a_later_run_belong_to_the_chain(world: World) {
    run(worker(&world), async {
        let start = || world.client.start(Serves::run(Vec::new())).id(world.id("serves"));
        let first = start().await.unwrap();
        next(&first).await;
        let by_signal = start().signal(|it| it.add(5)).await.unwrap();
        let existing = start().id_conflict_policy(WorkflowIdConflictPolicy::UseExisting).await.unwrap();
        assert_eq!(by_signal.run_id(), existing.run_id());
        assert_ne!(by_signal.run_id(), first.run_id());
        assert_eq!(by_signal.total().await.unwrap(), 5);
        next(&by_signal).await;
        assert_eq!(existing.total().await.unwrap(), 5);
        existing.cancel().await.unwrap();
        for handle in [first, by_signal, existing] {
            assert!(matches!(handle.result().await, Err(ResultError::Cancelled { .. })));
        }

        let by_signal = start().signal(|it| it.next()).await.unwrap();
        event(&by_signal, "WorkflowExecutionStarted").await;
        by_signal.terminate("over").await.unwrap();
        assert!(matches!(by_signal.result().await, Err(ResultError::Terminated { .. })));
    })
    .await;
}

async fn signals_of_a_busy_chain_are_not_lost(world: World) {
    run(worker(&world), async {
        let handle = world.client.start(Serves::run(Vec::new())).await.unwrap();
        for number in 0..40 {
            handle.add(number).await.unwrap();
            if number % 4 == 0 {
                handle.next().await.unwrap();
            }
        }
        handle.end().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), (0..40).collect::<Vec<_>>());
    })
    .await;
}

async fn an_update_that_no_run_accepted_reaches_the_next(world: World) {
    let handle = world.client.start(Serves::run(vec![3])).await.unwrap();
    handle.next().await.unwrap();
    run(worker(&world), async {
        // The first run ends with the task that gets the signal, and takes the update before or leaves it to the next.
        assert_eq!(handle.total().await.unwrap(), 3);
        handle.end().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), [3]);
    })
    .await;
}

async fn a_helper_can_end_the_run(world: World) {
    run(worker(&world), async {
        let handle = world.client.start(Serves::run(vec![1])).await.unwrap();
        next(&handle).await;
        handle.end().await.unwrap();
        assert_eq!(handle.result().await.unwrap(), [1]);
    })
    .await;
}

/// Fails until an attempt, or waits for ever in the attempts before.
#[workflow]
#[derive(Default)]
struct Stumbles {}

#[derive(Serialize, Deserialize)]
enum Stumble {
    Fail,
    Wait,
    FailForGood,
    FailAndContinue,
}

#[workflow]
impl Stumbles {
    /// Returns the attempt, and the failure of the one before.
    #[run]
    async fn run(&self, stumble: Stumble, until: u32) -> WorkflowResult<(u32, String)> {
        let info = workflow::info();
        if info.attempt < until {
            match stumble {
                Stumble::Fail => return Err(WorkflowError::new(format!("attempt {}", info.attempt))),
                Stumble::Wait => wait_condition(|| false).await?,
                Stumble::FailForGood => return Err(WorkflowError::non_retryable("for good")),
                // The policy goes on, the attempts begin anew.
                Stumble::FailAndContinue => return continue_as_new(Self::run(Stumble::Fail, until)).await,
            }
        }
        Ok((info.attempt, info.last_failure.as_ref().map(ToString::to_string).unwrap_or_default()))
    }
}

fn attempts(wait: Duration) -> RetryPolicy {
    RetryPolicy::new().initial_interval(wait).backoff_coefficient(1.0).maximum_attempts(3)
}

async fn failed_runs_are_tried_again(world: World) {
    let wait = world.wait();
    run(worker(&world), async {
        let start = |stumble, until| world.client.start(Stumbles::run(stumble, until)).retry_policy(attempts(wait));
        let handle = start(Stumble::Fail, 3).await.unwrap();
        assert_eq!(handle.result().await.unwrap(), (3, "attempt 2".to_owned()));
        let histories = handle.histories().await.unwrap();
        assert_eq!((histories.len(), Some(histories[0].run_id())), (3, handle.run_id()));
        assert_eq!(histories[0].event_names().last().as_deref(), Some("WorkflowExecutionFailed"));
        world.assert_skipped(2 * wait);

        let handle = start(Stumble::Fail, 4).await.unwrap();
        let Err(ResultError::Failed(failure)) = handle.result().await else { panic!("no attempt is left") };
        assert_eq!(failure.to_string(), "attempt 3");
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::Failed);

        let handle = start(Stumble::FailAndContinue, 3).await.unwrap();
        assert_eq!(handle.result().await.unwrap().0, 3);
        assert_eq!(handle.histories().await.unwrap().len(), 4);
    })
    .await;
}

/// Counts the runs before it.
#[workflow]
#[derive(Default)]
struct Reports {}

#[workflow]
impl Reports {
    #[run]
    async fn run(&self) -> WorkflowResult<u32> {
        let info = workflow::info();
        assert!(info.cron_schedule.is_some());
        let before = info.last_result.get(0).transpose().map_err(WorkflowError::new)?;
        Ok(before.unwrap_or(0) + 1)
    }
}

async fn a_schedule_runs_a_workflow_again_and_again(world: World) {
    let day = Duration::from_secs(24 * 3600);
    let (schedule, period) =
        if world.wait() > day { ("0 9 * * *", day) } else { ("@every 1s", Duration::from_secs(1)) };
    run(worker(&world), async {
        let start = world.client.start(Reports::run()).cron_schedule(schedule);
        let handle = start.execution_timeout(6 * period + period / 2).await.unwrap();
        assert!(matches!(handle.result().await, Err(ResultError::TimedOut)));
        let histories = handle.histories().await.unwrap();
        // Six or seven due times, by the time of day, and the run that waits for the next. Those that pass while a busy server is
        // late are skipped.
        assert!((4..=8).contains(&histories.len()), "{}", histories.len());
        for (number, history) in (1..).zip(&histories[..histories.len() - 1]) {
            let events = history.events();
            let completed = format!("{:?}", events[events.len() - 1]);
            assert!(completed.contains(&format!("data: b\"{number}\"")), "{number}: {completed}");
        }
        let refused = world.client.start(Reports::run()).cron_schedule("every day").await.unwrap_err();
        assert!(refused.to_string().contains("CronSchedule"), "{refused}");
    })
    .await;
}

async fn a_final_failure_is_not_retried(world: World) {
    run(worker(&world), async {
        let start = world.client.start(Stumbles::run(Stumble::FailForGood, 9)).retry_policy(RetryPolicy::new());
        let handle = start.await.unwrap();
        let Err(ResultError::Failed(failure)) = handle.result().await else { panic!("it failed") };
        assert_eq!(failure.message, "for good");
        assert_eq!(handle.histories().await.unwrap().len(), 1);
        let wrong = RetryPolicy::new().backoff_coefficient(0.5);
        let refused = world.client.start(Stumbles::run(Stumble::Fail, 1)).retry_policy(wrong).await.unwrap_err();
        assert!(refused.to_string().contains("backoff_coefficient"), "{refused}");
    })
    .await;
}

async fn a_run_timeout_is_tried_again(world: World) {
    run(worker(&world), async {
        let start = world.client.start(Stumbles::run(Stumble::Wait, 3)).retry_policy(attempts(world.wait()));
        // A server under load may begin the run late.
        let handle = start.run_timeout(world.wait() + Duration::from_secs(2)).await.unwrap();
        let (attempt, last_failure) = handle.result().await.unwrap();
        assert_eq!(attempt, 3);
        assert!(last_failure.contains("workflow timeout"), "{last_failure}");
    })
    .await;
}

async fn a_chain_has_one_execution_timeout(world: World) {
    run(worker(&world), async {
        let wait = world.wait();
        let handle = world.client.start(Delays::run(wait, 1000)).execution_timeout(5 * wait).await.unwrap();
        assert!(matches!(handle.result().await, Err(ResultError::TimedOut)));
        assert_eq!(handle.describe().await.unwrap().status(), WorkflowStatus::TimedOut);
        world.assert_skipped(4 * wait);
    })
    .await;
}

async fn a_next_run_can_wait(world: World) {
    run(worker(&world), async {
        let handle = world.client.start(Delays::run(world.wait(), 3)).await.unwrap();
        handle.result().await.unwrap();
        assert_eq!(handle.histories().await.unwrap().len(), 4);
        world.assert_skipped(3 * world.wait());
    })
    .await;
}
