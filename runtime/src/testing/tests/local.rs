//! Local activities in test environments.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::execute;
use crate::RetryPolicy;
use crate::prelude::*;
use crate::testing::WorkflowEnvironment;
use crate::worker::{ActivityAttempt, NextActivity, OutgoingCommand, OutgoingKind, WorkerInterceptor};

#[activity(start_to_close_timeout = "1m")]
async fn rate(n: u32) -> ActivityResult<u32> {
    Ok(n)
}

#[activity]
async fn stubborn(ctx: &ActivityContext) -> ActivityResult<u32> {
    match ctx.info().attempt {
        5 => Ok(5),
        attempt => Err(ActivityError::new(format!("attempt {attempt}"))),
    }
}

#[activity]
async fn by_mail(ctx: &ActivityContext) -> ActivityResult<u32> {
    Err(ctx.complete_later())
}

#[workflow]
#[derive(Default)]
struct Local {}

#[workflow]
impl Local {
    #[run]
    async fn run(&self, n: u32) -> WorkflowResult<u32> {
        match n {
            0 => Ok(stubborn().local().retry_policy(RetryPolicy::new().initial_interval(HOUR)).await?),
            1 => Ok(stubborn().local().await.unwrap_or(99)),
            2 => Ok(rate(2).task_queue("elsewhere").local().await?),
            3 => Ok(by_mail().local().await?),
            n => Ok(rate(n).local().await?),
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mock_stands_in_for_a_local_activity() {
    let env = WorkflowEnvironment::start().await.unwrap();
    let calls = env.mock(rate, |n: u32| async move { Ok(n * 2) });
    assert_eq!(execute(&env, Local::run(7)).await.unwrap(), 14);
    assert_eq!(calls.count(), 1);
}

/// In production the first waits would be the worker's; here all of them are timers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_jumps_over_the_waits_between_attempts() {
    let env = WorkflowEnvironment::start().await.unwrap();
    let worker = env.worker("test").workflow::<Local>().activity(stubborn).build().unwrap();
    let executed = async { Ok::<_, Box<dyn std::error::Error>>(env.client().execute(Local::run(0)).await?) };
    assert_eq!(worker.run_until(executed).await.unwrap(), 5);
    let skipped = env.time_skipped();
    assert!(skipped > HOUR * 14 && skipped < HOUR * 16, "1, 2, 4 and 8 hours: {skipped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_fail_the_task_and_say_what_to_do() {
    let failure_of = async |n: u32| {
        let env = WorkflowEnvironment::start().await.unwrap();
        let worker = env.worker("test").workflow::<Local>().activity(rate).activity(by_mail).build().unwrap();
        let executed = async { Ok::<_, Box<dyn std::error::Error>>(env.client().execute(Local::run(n)).await?) };
        worker.run_until(executed).await.unwrap_err().to_string()
    };
    let unknown = failure_of(1).await;
    assert!(unknown.contains("`stubborn`, called at") && unknown.contains("register it there"), "{unknown}");
    let queued = failure_of(2).await;
    assert!(queued.contains("`task_queue` of a call of `rate` that is local: the workflow's own worker"), "{queued}");
    let later = failure_of(3).await;
    assert!(later.contains("call it without `local()`"), "{later}");
}

/// Counts attempts, and adds a header to each local activity.
#[derive(Default)]
struct Counting {
    begun: AtomicU32,
    ended: AtomicU32,
}

impl WorkerInterceptor for Arc<Counting> {
    fn outgoing(&self, command: &mut OutgoingCommand<'_>) {
        if let OutgoingKind::Activity { activity_type, .. } = command.kind() {
            command.headers_mut().unwrap().insert("from", &activity_type.to_owned()).unwrap();
        }
    }

    async fn activity(
        &self,
        attempt: ActivityAttempt<'_>,
        next: NextActivity<'_>,
    ) -> Result<crate::raw::Payload, ActivityError> {
        assert_eq!(attempt.info.headers.get::<String>("from").unwrap().unwrap(), "rate");
        self.begun.fetch_add(1, Ordering::Relaxed);
        let result = next.run(attempt).await;
        assert!(result.is_ok());
        self.ended.fetch_add(1, Ordering::Relaxed);
        result
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interceptors_see_local_activities() {
    let env = WorkflowEnvironment::start().await.unwrap();
    let counting = Arc::<Counting>::default();
    let worker = env.worker("test").workflow::<Local>().activity(rate).interceptor(counting.clone()).build().unwrap();
    let executed = async { Ok::<_, Box<dyn std::error::Error>>(env.client().execute(Local::run(9)).await?) };
    assert_eq!(worker.run_until(executed).await.unwrap(), 9);
    assert_eq!((counting.begun.load(Ordering::Relaxed), counting.ended.load(Ordering::Relaxed)), (1, 1));
}
