//! Waits for commits.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use super::commit::CommitSeq;
use super::error::StoreError;

/// The progress of the writes of one store.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The last durable commit. All earlier ones are durable as well.
    durable: AtomicU64,
    /// The reason of the first failed write.
    failure: OnceLock<Arc<str>>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The waiting callers, by commit and number.
    wakers: BTreeMap<(CommitSeq, u64), Waker>,
    next_number: u64,
}

/// A wait for durability; dropping it has no effect.
#[derive(Debug)]
pub(crate) struct Durable(State);

#[derive(Debug)]
enum State {
    Known(Result<(), StoreError>),
    Waiting { progress: Arc<Progress>, seq: CommitSeq, number: Option<u64> },
}

impl Progress {
    /// Records that all commits up to `seq` are durable.
    pub(super) fn reach(&self, seq: CommitSeq) {
        self.durable.store(seq.0, Ordering::Release);
        let later = (CommitSeq(seq.0.saturating_add(1)), 0);
        let mut waiting = self.waiting();
        let still_waiting = waiting.wakers.split_off(&later);
        let done = std::mem::replace(&mut waiting.wakers, still_waiting);
        drop(waiting);
        done.into_values().for_each(Waker::wake);
    }

    /// Records that no later commit becomes durable. The first reason is kept.
    pub(super) fn fail(&self, reason: impl Into<Arc<str>>) -> StoreError {
        let reason = Arc::clone(self.failure.get_or_init(|| reason.into()));
        let all = std::mem::take(&mut self.waiting().wakers);
        all.into_values().for_each(Waker::wake);
        StoreError::Failed { reason }
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.failure.get() {
            Some(reason) => Err(StoreError::Failed { reason: Arc::clone(reason) }),
            None => Ok(()),
        }
    }

    pub(super) fn is_durable(&self, seq: CommitSeq) -> bool {
        self.durable.load(Ordering::Acquire) >= seq.0
    }

    pub(super) fn wait(self: &Arc<Self>, seq: CommitSeq) -> Durable {
        if self.is_durable(seq) {
            return Durable::known(Ok(()));
        }
        Durable(State::Waiting { progress: Arc::clone(self), seq, number: None })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // No code panics under this lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Durable {
    pub(super) fn known(result: Result<(), StoreError>) -> Self {
        Self(State::Known(result))
    }
}

impl Future for Durable {
    type Output = Result<(), StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (progress, seq, number) = match &mut self.0 {
            State::Known(result) => return Poll::Ready(result.clone()),
            State::Waiting { progress, seq, number } => (progress, *seq, number),
        };
        let mut waiting = progress.waiting();
        // Checked under the lock, so that later progress wakes all callers in the map.
        if progress.is_durable(seq) {
            return Poll::Ready(Ok(()));
        }
        progress.check()?;
        let number = *number.get_or_insert_with(|| {
            waiting.next_number += 1;
            waiting.next_number
        });
        waiting.wakers.insert((seq, number), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        if let State::Waiting { progress, seq, number: Some(number) } = &self.0 {
            progress.waiting().wakers.remove(&(*seq, *number));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn poll(durable: &mut Durable, count: &Arc<Count>) -> Poll<Result<(), StoreError>> {
        let waker = Waker::from(Arc::clone(count));
        Pin::new(durable).poll(&mut Context::from_waker(&waker))
    }

    #[test]
    fn a_wait_ends_with_its_commit_and_wakes_nobody_else() {
        let (progress, woken) = (Arc::new(Progress::default()), Arc::new(Count::default()));
        let (mut first, mut second) = (progress.wait(CommitSeq(1)), progress.wait(CommitSeq(2)));
        assert!(poll(&mut first, &woken).is_pending() && poll(&mut second, &woken).is_pending());
        assert!(poll(&mut second, &woken).is_pending(), "polled again, it still waits once");
        progress.reach(CommitSeq(1));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(poll(&mut first, &woken), Poll::Ready(Ok(())));
        assert!(poll(&mut second, &woken).is_pending());
        drop(second);
        progress.reach(CommitSeq(5));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1, "nobody waits any more");
        assert_eq!(poll(&mut progress.wait(CommitSeq(4)), &woken), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_failure_ends_every_wait_but_takes_nothing_back() {
        let (progress, woken) = (Arc::new(Progress::default()), Arc::new(Count::default()));
        progress.reach(CommitSeq(1));
        let mut waiting = progress.wait(CommitSeq(2));
        assert!(poll(&mut waiting, &woken).is_pending());
        let failed = progress.fail("the disk is full");
        progress.fail("something later");
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        assert_eq!(poll(&mut waiting, &woken), Poll::Ready(Err(failed)));
        assert_eq!(poll(&mut progress.wait(CommitSeq(1)), &woken), Poll::Ready(Ok(())));
    }
}
