//! The future of an activity whose progress is reported as heartbeats.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

use crate::activity::Heartbeats;

/// Polls a future only when it was woken, and reports each such poll that returns. A future that blocks in a poll, or is never
/// woken, makes no progress.
///
/// The timers of the heartbeats wake the surrounding task as well; such wakes do not count.
pub(super) struct Watched<F> {
    future: F,
    wakes: Arc<Wakes>,
    waker: Waker,
    beats: Arc<Heartbeats>,
}

/// The wakes of the future.
struct Wakes {
    is_woken: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future + Unpin> Watched<F> {
    pub(super) fn new(future: F, beats: Arc<Heartbeats>) -> Self {
        // The first poll needs no wake.
        let wakes = Arc::new(Wakes { is_woken: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { future, waker: wakes.clone().into(), wakes, beats }
    }
}

impl<F: Future + Unpin> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Registered first, so that a wake after the check below wakes this task.
        self.wakes.task.register(cx.waker());
        if !self.wakes.is_woken.swap(false, Ordering::Acquire) {
            return Poll::Pending;
        }
        let Self { future, waker, beats, .. } = &mut *self;
        let polled = Pin::new(future).poll(&mut Context::from_waker(waker));
        beats.progressed();
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::Mutex;

    use tokio::time::{Duration, Instant, timeout};

    use super::*;

    /// The next heartbeat, if one comes without another poll of the future.
    async fn beats_by_itself(beats: &Heartbeats) -> bool {
        timeout(Duration::ZERO, beats.next(Instant::now())).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_makes_progress_when_something_wakes_it() {
        let beats = Arc::new(Heartbeats::default());
        let (wake_it, polls) = (Arc::new(Mutex::new(None::<Waker>)), Arc::new(Mutex::new(0)));
        let body = {
            let (wake_it, polls, beats) = (wake_it.clone(), polls.clone(), beats.clone());
            poll_fn(move |cx| {
                let mut noop = Context::from_waker(Waker::noop());
                let beat = pin!(beats.next(Instant::now())).poll(&mut noop);
                assert!(beat.is_pending(), "a poll that does not return is no progress");
                *wake_it.lock().unwrap() = Some(cx.waker().clone());
                *polls.lock().unwrap() += 1;
                Poll::<()>::Pending
            })
        };
        let mut watched = Watched::new(body, beats.clone());
        let mut poll_task = async || timeout(Duration::ZERO, &mut watched).await.unwrap_err();
        poll_task().await;
        assert!(beats_by_itself(&beats).await, "the first poll is progress");
        // The task is polled again, as by a timer of its heartbeats.
        poll_task().await;
        assert_eq!(*polls.lock().unwrap(), 1);
        assert!(!beats_by_itself(&beats).await, "nothing woke the future");
        wake_it.lock().unwrap().as_ref().unwrap().wake_by_ref();
        poll_task().await;
        assert_eq!(*polls.lock().unwrap(), 2);
        assert!(beats_by_itself(&beats).await, "it was woken and polled");
    }

    #[tokio::test(start_paused = true)]
    async fn progress_alone_is_sent_when_it_is_due_and_details_at_once() {
        let beats = Arc::new(Heartbeats::default());
        let (start, due) = (Instant::now(), Instant::now() + Duration::from_secs(8));
        beats.progressed();
        assert_eq!(beats.next(due).await, None);
        assert_eq!(Instant::now(), due);
        let none = timeout(Duration::from_secs(60), beats.next(due)).await;
        assert!(none.is_err(), "progress counts once");
        beats.record(crate::data::Payloads::of(&7).unwrap());
        let details = beats.next(start + Duration::from_secs(1000)).await.unwrap();
        assert_eq!((details.get(0), Instant::now() - due), (Some(Ok(7)), Duration::from_secs(60)));
    }
}
