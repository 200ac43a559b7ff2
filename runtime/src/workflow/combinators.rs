//! Waiting for several things, or not too long. They take calls as well as futures, and poll in written order.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::operations::{Sleep, sleep};
use crate::executor::current;

/// A time limit passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit passed")
    }
}

impl std::error::Error for Elapsed {}

/// Waits for a future or a call, but not longer than `limit`. Then what was waited for is dropped, and with it cancelled.
///
/// The future is polled first, so what is ready at once needs no timer. A cancellation of the workflow reaches the future
/// and surfaces as its own error, never as [`Elapsed`].
///
/// # Errors
/// [`Elapsed`] if the limit passed first.
#[track_caller]
pub fn timeout<F: IntoFuture>(limit: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: Box::pin(future.into_future()), timer: sleep(limit) }
}

/// See [`timeout`].
#[must_use = "nothing happens until it is awaited"]
pub struct Timeout<F> {
    future: Pin<Box<F>>,
    timer: Sleep,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        // The timer stands outside every scope: no cancellation ends it.
        self.timer.poll_in(Some(current::NO_SCOPE), cx).map(|_| Err(Elapsed))
    }
}

/// Waits for all of several futures or calls of one kind; results come in their order.
pub fn join_all<I>(futures: I) -> impl Future<Output = Vec<<I::Item as IntoFuture>::Output>>
where
    I: IntoIterator<Item: IntoFuture>,
{
    futures_util::future::join_all(futures.into_iter().map(IntoFuture::into_future))
}

/// Waits for the first of several futures or calls; the others are dropped, and with them cancelled.
///
/// The syntax is that of `tokio::select!`. Branches are polled in written order, so the result is the same on replay.
///
/// ```
/// use everloop::prelude::*;
///
/// async fn paid_in_time(paid: &State<bool>) -> WorkflowResult<bool> {
///     select! {
///         paid = paid.wait(|paid| *paid) => { paid?; Ok(true) }
///         slept = sleep(Duration::from_secs(3600)) => { slept?; Ok(false) }
///     }
/// }
/// ```
#[macro_export]
macro_rules! select {
    (biased; $($branches:tt)*) => { $crate::__private::tokio::select! { biased; $($branches)* } };
    ($($branches:tt)*) => { $crate::__private::tokio::select! { biased; $($branches)* } };
}

/// Waits for all of several futures or calls, of any kinds; gives a tuple. Polled in written order.
///
/// ```
/// use everloop::prelude::*;
///
/// async fn twice() -> WorkflowResult<()> {
///     let (first, second) = join!(sleep(Duration::from_secs(1)), sleep(Duration::from_secs(2)));
///     first?;
///     second?;
///     Ok(())
/// }
/// ```
#[macro_export]
macro_rules! join {
    (biased; $($future:expr),+ $(,)?) => { $crate::join!($($future),+) };
    ($($future:expr),+ $(,)?) => {
        $crate::__private::tokio::join! {
            biased; $($crate::__private::IntoFuture::into_future($future)),+
        }
    };
}
