//! Durations that the protocol cannot express: too long ones are clamped, and zero is rejected where it would mean "no limit".

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::SystemTime,
};

use everloop::client::StartError;
use everloop::{RetryPolicy, prelude::*};

use super::world::{World, event, everywhere, run};

everywhere! {
    too_long_start_delay_is_clamped_to_a_hundred_years,
    zero_limit_is_rejected_where_it_is_set;
    waiting:
    maximal_durations_never_elapse,
}

struct Attempts(AtomicU32);

#[activities]
impl Attempts {
    #[activity(start_to_close_timeout = "10s")]
    async fn fail_once(&self, says_when: bool) -> ActivityResult<u32> {
        match self.0.fetch_add(1, Ordering::SeqCst) + 1 {
            1 if says_when => Err(ActivityError::new("later").next_retry_delay(Duration::MAX)),
            1 => Err(ActivityError::new("later")),
            attempt => Ok(attempt),
        }
    }

    #[activity]
    async fn succeed(&self) -> u32 {
        7
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Case {
    InitialInterval,
    NextRetryDelay,
    Limits,
}

#[workflow]
#[derive(Default)]
struct Patient;

#[workflow]
impl Patient {
    /// The result of the activity if it came before the time was over.
    #[run]
    async fn run(&self, case: Case, patience: Duration) -> WorkflowResult<Option<u32>> {
        let never = RetryPolicy::new().initial_interval(Duration::MAX).maximum_interval(Duration::MAX);
        let call = match case {
            Case::InitialInterval => Attempts::fail_once(false).retry_policy(never),
            Case::NextRetryDelay => Attempts::fail_once(true),
            Case::Limits => {
                let all = Attempts::succeed().start_to_close_timeout(Duration::MAX).heartbeat_timeout(Duration::MAX);
                let all = all.schedule_to_close_timeout(Duration::MAX).schedule_to_start_timeout(Duration::MAX);
                return Ok(Some(timeout(Duration::MAX, all).await??));
            }
        };
        Ok(timeout(patience, call).await.ok().transpose()?)
    }
}

async fn maximal_durations_never_elapse(world: World) {
    for (case, expected) in [(Case::InitialInterval, None), (Case::NextRetryDelay, None), (Case::Limits, Some(7))] {
        let worker = world.worker().workflow::<Patient>().activities(Attempts(AtomicU32::new(0)));
        let call = Patient::run(case.clone(), world.wait());
        let result = run(worker, async { world.client.execute(call).await }).await;
        assert_eq!(result.unwrap(), expected, "{case:?}");
    }
}

async fn too_long_start_delay_is_clamped_to_a_hundred_years(world: World) {
    let call = Patient::run(Case::Limits, Duration::ZERO);
    let handle = world.client.start(call).start_delay(Duration::MAX).execution_timeout(Duration::MAX).await.unwrap();
    let starts = handle.describe().await.unwrap().execution_time().unwrap();
    let ahead = starts.duration_since(SystemTime::now()).unwrap();
    assert!(ahead > Duration::from_secs(99 * 365 * 24 * 3600), "{ahead:?}");
    handle.terminate("seen").await.unwrap();
}

#[workflow]
#[derive(Default)]
struct Hasty;

#[workflow]
impl Hasty {
    #[run]
    async fn run(&self, what: String) -> WorkflowResult<u32> {
        let policy = RetryPolicy::new();
        let call = Attempts::succeed();
        Ok(match what.as_str() {
            "attempt" => call.start_to_close_timeout(Duration::ZERO),
            "first" => call.retry_policy(policy.initial_interval(Duration::ZERO)),
            "shrinking" => call.retry_policy(policy.maximum_interval(Duration::from_millis(10))),
            _ => call.retry_policy(policy.backoff_coefficient(f64::NAN)),
        }
        .await?)
    }
}

async fn zero_limit_is_rejected_where_it_is_set(world: World) {
    let start = |what: &str| world.client.start(Hasty::run(what.to_owned()));
    let Err(error @ StartError::InvalidOption { .. }) = start("never").id("hasty").run_timeout(Duration::ZERO).await
    else {
        panic!("it was started")
    };
    let expected = "workflow `hasty` was not started: `run_timeout` is zero, which would mean no limit; leave it out for \
                    none, or set a longer one";
    assert_eq!(error.to_string(), expected);

    let worker = world.worker().workflow::<Hasty>().activities(Attempts(AtomicU32::new(0)));
    run(worker, async {
        for (what, problem) in [
            ("attempt", "`start_to_close_timeout` is zero, which would mean no limit"),
            ("first", "`initial_interval` of a retry policy is zero, which would mean the server's default"),
            ("shrinking", "`maximum_interval` of a retry policy is 10ms, shorter than the first interval, 1s"),
            ("coefficient", "`backoff_coefficient` of a retry policy is NaN; it is at least 1"),
        ] {
            let handle = start(what).await.unwrap();
            let timeline = event(&handle, "WorkflowTaskFailed").await.timeline();
            assert!(timeline.contains("activity `succeed`, called at tests/src/e2e/durations.rs:"), "{timeline}");
            assert!(timeline.contains(problem), "{timeline}");
            handle.terminate("seen").await.unwrap();
        }
    })
    .await;
}
