//! Tests of single activities.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::activity::{
    Activity, ActivityCall, ActivityCancelReason, ActivityContext, ActivityErrorOf, ActivityInfo, CallErrorType,
    ContextSignals, FunctionActivity, Heartbeats, MethodActivity,
};
use crate::data::Payloads;

/// Runs an activity's body without server and worker.
///
/// ```
/// use everloop::prelude::*;
/// use everloop::testing::ActivityEnvironment;
///
/// #[activity]
/// async fn count(ctx: &ActivityContext, to: u32) -> ActivityResult<u32> {
///     for n in 0..to {
///         ctx.heartbeat(n)?;
///     }
///     Ok(to)
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let env = ActivityEnvironment::new();
/// assert_eq!(env.run(count(3)).await.unwrap(), 3);
/// assert_eq!(env.heartbeats().len(), 3);
/// # });
/// ```
pub struct ActivityEnvironment {
    info: ActivityInfo,
    last_details: Payloads,
    cancel: watch::Sender<Option<ActivityCancelReason>>,
    shutdown: CancellationToken,
    beats: Arc<Mutex<Vec<Payloads>>>,
}

impl Default for ActivityEnvironment {
    fn default() -> Self {
        Self::new()
    }
}

impl ActivityEnvironment {
    /// Creates an environment for a first attempt that is not cancelled.
    pub fn new() -> Self {
        let info = ActivityInfo {
            namespace: "default".to_owned(),
            activity_id: "1".to_owned(),
            workflow_id: "test".to_owned(),
            run_id: "test-run".to_owned(),
            workflow_type: "Test".to_owned(),
            task_queue: "test".to_owned(),
            attempt: 1,
            ..ActivityInfo::default()
        };
        let (cancel, _) = watch::channel(None);
        Self { info, last_details: Payloads::new(), cancel, shutdown: CancellationToken::new(), beats: Arc::default() }
    }

    /// Sets the number of the attempt, counted from 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.info.attempt = attempt;
        self
    }

    /// Changes the info that the activity reads.
    pub fn info(mut self, change: impl FnOnce(&mut ActivityInfo)) -> Self {
        change(&mut self.info);
        self
    }

    /// Sets the details of the last heartbeat of an earlier attempt.
    ///
    /// # Panics
    /// If the details cannot be serialized.
    pub fn heartbeat_details<T: Serialize + 'static>(mut self, details: T) -> Self {
        self.last_details = match Payloads::of(&details) {
            Ok(details) => details,
            Err(error) => panic!("heartbeat details: {error}"),
        };
        self
    }

    /// Runs an activity function.
    ///
    /// # Errors
    /// The error that the activity returns.
    pub async fn run<A: FunctionActivity>(&self, call: ActivityCall<A>) -> Result<A::Output, ActivityErrorOf<A>> {
        A::execute_activity(self.context::<A>(), call.args).await.map_err(A::Error::receive)
    }

    /// Runs an activity method on its value.
    ///
    /// # Errors
    /// The error that the activity returns.
    pub async fn run_on<A: MethodActivity>(
        &self,
        shared: &Arc<A::Shared>,
        call: ActivityCall<A>,
    ) -> Result<A::Output, ActivityErrorOf<A>> {
        A::execute_activity(shared.clone(), self.context::<A>(), call.args).await.map_err(A::Error::receive)
    }

    /// Cancels the activity now, or when it starts.
    pub fn cancel(&self, reason: ActivityCancelReason) {
        self.cancel.send_replace(Some(reason));
    }

    /// Notifies the activity that its worker stops.
    pub fn shut_down_worker(&self) {
        self.shutdown.cancel();
    }

    /// The details of all heartbeats so far. The environment records each heartbeat, while a worker throttles them.
    pub fn heartbeats(&self) -> Vec<Payloads> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn context<A: Activity>(&self) -> ActivityContext {
        let info = ActivityInfo { activity_type: A::NAME.to_owned(), ..self.info.clone() };
        let signals = ContextSignals {
            cancelled: self.cancel.subscribe(),
            shutdown: self.shutdown.clone(),
            beats: Arc::new(Heartbeats::kept(self.beats.clone())),
        };
        ActivityContext::new(info, self.last_details.clone(), signals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[activity]
    async fn patient(ctx: &ActivityContext) -> ActivityResult<String> {
        let before: Option<u32> = ctx.heartbeat_details().transpose().map_err(ActivityError::new)?;
        ctx.heartbeat("waiting".to_owned())?;
        let reason = ctx.cancelled().await;
        Ok(format!("attempt {}, {before:?}, {reason}", ctx.info().attempt))
    }

    struct Greeter(&'static str);

    #[activities]
    impl Greeter {
        #[activity]
        fn greet(&self, name: String) -> String {
            format!("{} {name}", self.0)
        }
    }

    #[tokio::test]
    async fn an_activity_sees_its_attempt_its_details_and_its_cancellation() {
        let env = ActivityEnvironment::new().attempt(2).heartbeat_details(7u32);
        env.cancel(ActivityCancelReason::Requested);
        assert_eq!(env.run(patient()).await.unwrap(), "attempt 2, Some(7), cancelled by the workflow");
        assert_eq!(env.heartbeats()[0].get::<String>(0), Some(Ok("waiting".to_owned())));
    }

    #[activity]
    async fn count_on(ctx: &ActivityContext) -> ActivityResult<(Option<u32>, Option<u32>)> {
        let mut progress = ctx.progress::<u32>()?;
        let before = progress.last().copied();
        progress.record(before.unwrap_or_default() + 1)?;
        // A later call in the same attempt reads the record of that attempt.
        Ok((before, ctx.progress()?.last().copied()))
    }

    #[tokio::test]
    async fn progress_is_read_and_recorded_as_one_type() {
        let env = ActivityEnvironment::new();
        assert_eq!(env.run(count_on()).await.unwrap(), (None, Some(1)));
        assert_eq!(env.heartbeats()[0].get::<u32>(0), Some(Ok(1)));
        let env = ActivityEnvironment::new().attempt(2).heartbeat_details(7u32);
        assert_eq!(env.run(count_on()).await.unwrap(), (Some(7), Some(8)));
        let env = ActivityEnvironment::new().attempt(2).heartbeat_details("seven".to_owned());
        let error = env.run(count_on()).await.unwrap_err();
        assert!(error.to_string().contains("the progress that an earlier attempt recorded: "), "{error}");
    }

    #[activity]
    async fn ask_someone(ctx: &ActivityContext) -> ActivityResult<bool> {
        Err(ctx.complete_later())
    }

    #[tokio::test]
    async fn an_activity_that_is_completed_later_says_so() {
        let error = ActivityEnvironment::new().run(ask_someone()).await.unwrap_err();
        assert!(error.completes_later(), "{error}");
        assert!(!ActivityError::new("no").completes_later());
    }

    #[tokio::test]
    async fn a_method_runs_on_its_value() {
        let greeter = Arc::new(Greeter("hello"));
        let env = ActivityEnvironment::new();
        assert_eq!(env.run_on(&greeter, Greeter::greet("you".into())).await.unwrap(), "hello you");
    }

    #[derive(Debug, PartialEq, ActivityFailure)]
    enum ChargeError {
        Declined { code: u32 },
        Lost(f64),
    }

    #[activity]
    async fn charge(code: u32) -> Result<(), ChargeError> {
        Err(if code == 0 { ChargeError::Lost(f64::NAN) } else { ChargeError::Declined { code } })
    }

    #[tokio::test]
    async fn an_activity_returns_its_own_error() {
        let declined = ActivityEnvironment::new().run(charge(51)).await.unwrap_err();
        assert_eq!(declined, ChargeError::Declined { code: 51 });
    }

    #[tokio::test]
    #[should_panic = "callers cannot read the activity's error: EncodeError: the fields of the error `Lost`"]
    async fn an_error_that_its_callers_cannot_read_panics() {
        let _ = ActivityEnvironment::new().run(charge(0)).await;
    }
}
