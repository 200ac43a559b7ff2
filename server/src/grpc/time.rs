//! `temporal.api.testservice.v1`: lets tests of other SDKs read the clock and skip time.

use std::time::Duration;

use everloop_proto::temporal::api::testservice::v1::test_service_server::TestService;
use everloop_proto::temporal::api::testservice::v1::*;
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use crate::service::host::Awake;
use crate::stop::{StopNotice, stopped};
use crate::{Engine, UnbalancedUnlock};

/// The test service of one engine with a time-skipping clock.
///
/// A lock outlives the connection that took it: releasing it silently would hide the leak.
#[derive(Clone, Debug)]
pub struct TestTime {
    engine: Engine,
}

impl TestTime {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[tonic::async_trait]
impl TestService for TestTime {
    async fn lock_time_skipping(
        &self,
        request: Request<LockTimeSkippingRequest>,
    ) -> Result<Response<LockTimeSkippingResponse>, Status> {
        self.engine.lock_time(&taker(&request));
        Ok(Response::new(LockTimeSkippingResponse {}))
    }

    async fn unlock_time_skipping(
        &self,
        request: Request<UnlockTimeSkippingRequest>,
    ) -> Result<Response<UnlockTimeSkippingResponse>, Status> {
        self.engine.unlock_time(&taker(&request)).map_err(refusal)?;
        Ok(Response::new(UnlockTimeSkippingResponse {}))
    }

    async fn sleep(&self, request: Request<SleepRequest>) -> Result<Response<SleepResponse>, Status> {
        let sleep = self.engine.sleep(duration(request.get_ref())?);
        drop(slept(sleep, &StopNotice::of(&request)).await?);
        Ok(Response::new(SleepResponse {}))
    }

    async fn sleep_until(&self, request: Request<SleepUntilRequest>) -> Result<Response<SleepResponse>, Status> {
        let until = request.get_ref().timestamp.ok_or_else(|| Status::invalid_argument("Timestamp is not set."))?;
        let until = Duration::from_nanos(nanoseconds(until)?);
        let sleep = self.engine.sleep(until.saturating_sub(self.engine.now()));
        drop(slept(sleep, &StopNotice::of(&request)).await?);
        Ok(Response::new(SleepResponse {}))
    }

    async fn unlock_time_skipping_with_sleep(
        &self,
        request: Request<SleepRequest>,
    ) -> Result<Response<SleepResponse>, Status> {
        let taker = taker(&request);
        // The deadline is set before the clock may jump.
        let sleep = self.engine.sleep(duration(request.get_ref())?);
        self.engine.unlock_time(&taker).map_err(refusal)?;
        let locks_again = LocksAgain { engine: &self.engine, taker: &taker };
        let awake = slept(sleep, &StopNotice::of(&request)).await?;
        // The order matters: no jump can happen between the end of the sleep and the lock.
        drop(locks_again);
        drop(awake);
        Ok(Response::new(SleepResponse {}))
    }

    async fn get_current_time(&self, _: Request<()>) -> Result<Response<GetCurrentTimeResponse>, Status> {
        let now = self.engine.now();
        let seconds = i64::try_from(now.as_secs()).map_err(|_| Status::out_of_range("the time is too far"))?;
        // Nanoseconds below one second always fit.
        let time = Timestamp { seconds, nanos: now.subsec_nanos().cast_signed() };
        Ok(Response::new(GetCurrentTimeResponse { time: Some(time) }))
    }
}

/// Waits until the sleep ends or the socket stops.
async fn slept(sleep: impl Future<Output = Awake>, stop: &StopNotice) -> Result<Awake, Status> {
    tokio::select! {
        awake = sleep => Ok(awake),
        () = stop.given() => Err(stopped()),
    }
}

/// Takes the lock again when the sleep ends, or when its caller disconnects before.
struct LocksAgain<'a> {
    engine: &'a Engine,
    taker: &'a str,
}

impl Drop for LocksAgain<'_> {
    fn drop(&mut self) {
        self.engine.lock_time(self.taker);
    }
}

/// The name of the taker in explanations of a clock that does not advance.
fn taker<T>(request: &Request<T>) -> String {
    let client = request.metadata().get("client-name").and_then(|name| name.to_str().ok());
    format!("test service, {}", client.unwrap_or("unnamed client"))
}

fn duration(request: &SleepRequest) -> Result<Duration, Status> {
    let duration = request.duration.ok_or_else(|| Status::invalid_argument("Duration is not set."))?;
    Duration::try_from(duration).map_err(|_| Status::invalid_argument("Duration is negative."))
}

fn nanoseconds(time: Timestamp) -> Result<u64, Status> {
    let nanoseconds = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    u64::try_from(nanoseconds).map_err(|_| Status::invalid_argument("Timestamp is out of range."))
}

fn refusal(error: UnbalancedUnlock) -> Status {
    Status::failed_precondition(error.to_string())
}

#[cfg(test)]
mod tests {
    use everloop_proto::temporal::api::testservice::v1::test_service_client::TestServiceClient;
    use everloop_proto::temporal::api::testservice::v1::test_service_server::TestServiceServer;
    use tonic::Code;

    use super::*;
    use crate::ClockMode;

    const HOUR_SECONDS: i64 = 60 * 60;

    /// An in-process client.
    type TestClient = TestServiceClient<TestServiceServer<TestTime>>;

    fn start() -> (Engine, TestClient) {
        let engine = Engine::memory(ClockMode::Skipping).unwrap();
        let client = TestServiceClient::new(engine.test_service().unwrap());
        (engine, client)
    }

    async fn now(client: &mut TestClient) -> i64 {
        client.get_current_time(()).await.unwrap().into_inner().time.unwrap().seconds
    }

    fn of(seconds: i64) -> SleepRequest {
        SleepRequest { duration: Some(prost_types::Duration { seconds, nanos: 0 }) }
    }

    #[tokio::test]
    async fn time_skips_during_an_unlocked_sleep_and_is_locked_again_after_it() {
        let (engine, mut client) = start();
        let before = now(&mut client).await;
        client.unlock_time_skipping_with_sleep(of(HOUR_SECONDS)).await.unwrap();
        let after = now(&mut client).await;
        assert!((HOUR_SECONDS..HOUR_SECONDS + 60).contains(&(after - before)), "from {before} to {after}");

        // If time were not locked again, this sleep would end at once.
        let mut sleep = Box::pin(client.sleep(of(HOUR_SECONDS)));
        assert!(poll_once(sleep.as_mut()).await.is_none());
        engine.unlock_time("test").unwrap();
        sleep.await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_sleep_locks_time_again() {
        let (engine, mut client) = start();
        // The second lock prevents jumps.
        client.lock_time_skipping(LockTimeSkippingRequest {}).await.unwrap();
        let mut sleep = Box::pin(client.unlock_time_skipping_with_sleep(of(HOUR_SECONDS)));
        assert!(poll_once(sleep.as_mut()).await.is_none());
        drop(sleep);
        engine.unlock_time("test").unwrap();
        engine.unlock_time("test").unwrap();
        let refusal = client.unlock_time_skipping(UnlockTimeSkippingRequest {}).await.unwrap_err();
        assert_eq!(refusal.code(), Code::FailedPrecondition, "no lock is left");
    }

    #[tokio::test]
    async fn sleeping_until_a_past_time_does_not_wait() {
        let (_engine, mut client) = start();
        let past = Timestamp { seconds: 1, nanos: 0 };
        client.sleep_until(SleepUntilRequest { timestamp: Some(past) }).await.unwrap();
        client.unlock_time_skipping(UnlockTimeSkippingRequest {}).await.unwrap();
        let tomorrow = Timestamp { seconds: now(&mut client).await + 24 * HOUR_SECONDS, nanos: 0 };
        client.sleep_until(SleepUntilRequest { timestamp: Some(tomorrow) }).await.unwrap();
        assert!(now(&mut client).await >= tomorrow.seconds);
    }

    #[tokio::test]
    async fn invalid_times_are_rejected() {
        let (_engine, mut client) = start();
        for request in [SleepRequest { duration: None }, of(-1)] {
            assert_eq!(client.sleep(request).await.unwrap_err().code(), Code::InvalidArgument);
        }
        for timestamp in [None, Some(Timestamp { seconds: -1, nanos: 0 })] {
            let refusal = client.sleep_until(SleepUntilRequest { timestamp }).await.unwrap_err();
            assert_eq!(refusal.code(), Code::InvalidArgument);
        }
    }

    #[test]
    fn a_real_clock_has_no_test_service() {
        assert!(Engine::memory(ClockMode::Real).unwrap().test_service().is_none());
    }

    /// Polls the future once.
    async fn poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
