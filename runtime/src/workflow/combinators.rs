//! Combinators of futures and calls, and timeouts. All of them poll in written order.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::operations::{Sleep, sleep};
use super::pool::Pool;
use crate::executor::current;

/// The error of a time limit that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit passed")
    }
}

impl std::error::Error for Elapsed {}

/// Waits for a future or a call, but not longer than `limit`. When the limit passes, the future is dropped, which cancels it.
///
/// The future is polled first, so a future that is ready at once needs no timer. A cancellation of the workflow reaches the
/// future, and is returned as the future's own error, never as [`Elapsed`].
///
/// ```
/// use everloop::prelude::*;
///
/// #[workflow]
/// #[derive(Default)]
/// pub struct Approval {
///     approved: State<bool>,
/// }
///
/// #[workflow]
/// impl Approval {
///     #[run]
///     async fn run(&self) -> WorkflowResult<bool> {
///         match timeout(Duration::from_secs(3600), self.approved.wait(|approved| *approved)).await {
///             // The future completed first. Its result is an error if the workflow was cancelled.
///             Ok(waited) => waited?,
///             Err(_elapsed) => return Ok(false),
///         }
///         Ok(true)
///     }
///
///     #[signal]
///     fn approve(&self) {
///         self.approved.set(true);
///     }
/// }
/// ```
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
        // The timer belongs to no scope, so that cancellations do not end it.
        self.timer.poll_in(Some(current::NO_SCOPE), cx).map(|_| Err(Elapsed))
    }
}

/// Waits for all of several futures or calls of one type. Returns the results in their order.
///
/// All start at once. [`JoinAll::limit`] limits the number that run at once, and starts no more after a cancellation.
pub fn join_all<I>(futures: I) -> JoinAll<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator<Item: IntoFuture>,
{
    let futures = futures.into_iter().map(IntoFuture::into_future).collect();
    JoinAll { state: JoinAllState::New { futures, limit: None } }
}

/// See [`join_all`].
#[must_use = "nothing happens until it is awaited"]
pub struct JoinAll<F: Future> {
    state: JoinAllState<F>,
}

enum JoinAllState<F: Future> {
    New { futures: Vec<F>, limit: Option<usize> },
    AtOnce(futures_util::future::JoinAll<F>),
    Limited { pool: Pool<Numbered<F>>, limit: usize, outputs: Vec<Option<F::Output>> },
}

impl<F: Future> JoinAll<F> {
    /// Runs at most `futures` of them at once; the next ones start in their order when others end.
    ///
    /// If the workflow (or the coroutine that waits) is cancelled meanwhile, the first operation of each future that has not
    /// started is cancelled: an activity call returns its cancelled failure and is never scheduled. There is still one output
    /// for each future. The [guide](crate::guide::cancellation) compares this with other combinators such as
    /// `buffer_unordered`, which continue with the remaining futures.
    ///
    /// ```
    /// # use everloop::prelude::*;
    /// # #[activity] async fn resize(image: u32) -> ActivityResult<u64> { Ok(0) }
    /// async fn resize_all(images: Vec<u32>) -> WorkflowResult<u64> {
    ///     let mut bytes = 0;
    ///     for resized in join_all(images.into_iter().map(resize)).limit(5).await {
    ///         bytes += resized?;
    ///     }
    ///     Ok(bytes)
    /// }
    /// ```
    ///
    /// # Panics
    /// If `futures` is zero, and if the future has been polled before.
    #[track_caller]
    pub fn limit(mut self, futures: usize) -> Self {
        assert!(futures > 0, "a limit of zero would never start a future");
        match &mut self.state {
            JoinAllState::New { limit, .. } => *limit = Some(futures),
            JoinAllState::AtOnce(_) | JoinAllState::Limited { .. } => {
                panic!("the limit of `join_all` must be set before it is polled")
            }
        }
        self
    }
}

// The futures are boxed before they are polled.
impl<F: Future> Unpin for JoinAll<F> {}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let JoinAllState::New { futures, limit } = &mut self.state {
            let futures = std::mem::take(futures);
            self.state = match *limit {
                None => JoinAllState::AtOnce(futures_util::future::join_all(futures)),
                Some(limit) => limited(futures, limit),
            };
        }
        match &mut self.state {
            JoinAllState::New { .. } => unreachable!("it was started above"),
            JoinAllState::AtOnce(all) => Pin::new(all).poll(cx),
            JoinAllState::Limited { pool, limit, outputs } => {
                while let Some((number, output)) = ready!(pool.poll_next(*limit, cx)) {
                    outputs[number] = Some(output);
                }
                Poll::Ready(std::mem::take(outputs).into_iter().flatten().collect())
            }
        }
    }
}

fn limited<F: Future>(futures: Vec<F>, limit: usize) -> JoinAllState<F> {
    // A cancellation that found no pending operation is for all of the futures, since together they are the next operation.
    let is_cancelled = current::try_current().is_some_and(|core| core.take_cancellation(core.scope()));
    let outputs = futures.iter().map(|_| None).collect();
    let mut pool = Pool::new();
    for (number, future) in futures.into_iter().enumerate() {
        let future = Numbered { number, future: Box::pin(future) };
        match is_cancelled {
            true => pool.push_cancelled(future),
            false => pool.push_waiting(future),
        }
    }
    JoinAllState::Limited { pool, limit, outputs }
}

/// A future with the index of its output.
struct Numbered<F> {
    number: usize,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Numbered<F> {
    type Output = (usize, F::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let number = self.number;
        self.future.as_mut().poll(cx).map(|output| (number, output))
    }
}

/// Waits for the first of several futures or calls; the others are dropped, which cancels them.
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

/// Waits for all of several futures or calls of any types; returns a tuple. They are polled in written order.
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
