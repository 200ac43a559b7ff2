//! Limits the concurrent workflow tasks, and the polls for more.
//!
//! An open poll reserves a place for its task, so that no task waits here while another worker could run it. Two kinds of
//! polls share the places: polls of the worker's sticky queue, for runs in its cache, and polls of the queue that all workers
//! poll. Each queue may be empty for a minute while the other one is full.
//!
//! *Invariant: the polls of one kind never reserve all places.* If there is only one place, polls reserve none, and a task
//! waits for the previous one.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of a worker.
pub(super) struct Places {
    tasks: Arc<Semaphore>,
    /// Permits for open polls of each kind.
    everyones: Arc<Semaphore>,
    own: Arc<Semaphore>,
    /// Whether there is one place for two kinds of polls.
    is_shared_place: bool,
}

/// The permission to open a poll.
pub(super) struct PollPlace {
    tasks: Arc<Semaphore>,
    task: Option<OwnedSemaphorePermit>,
    _poll: OwnedSemaphorePermit,
}

impl Places {
    /// Creates the places; a worker with a cache has two kinds of polls.
    pub(super) fn new(count: usize, has_cache: bool) -> Self {
        let polls = if has_cache { (count - 1).max(1) } else { count };
        Self {
            tasks: Arc::new(Semaphore::new(count)),
            everyones: Arc::new(Semaphore::new(polls)),
            own: Arc::new(Semaphore::new(polls)),
            is_shared_place: has_cache && count == 1,
        }
    }

    /// Waits until a poll of this kind may be opened.
    pub(super) async fn poll(&self, is_own: bool) -> PollPlace {
        let kind = if is_own { &self.own } else { &self.everyones };
        let poll = acquire(kind).await;
        let task = if self.is_shared_place { None } else { Some(acquire(&self.tasks).await) };
        PollPlace { tasks: self.tasks.clone(), task, _poll: poll }
    }

    /// Takes a free place for a task that arrives without a poll.
    pub(super) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        self.tasks.clone().try_acquire_owned().ok()
    }
}

impl PollPlace {
    /// Waits until the task of the poll may begin.
    pub(super) async fn take(self) -> OwnedSemaphorePermit {
        match self.task {
            Some(place) => place,
            None => acquire(&self.tasks).await,
        }
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    semaphore.clone().acquire_owned().await.expect("nobody closes it")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Opens polls of one kind until one must wait.
    fn open_all(places: &Places, is_own: bool) -> Vec<PollPlace> {
        std::iter::from_fn(|| places.poll(is_own).now_or_never()).collect()
    }

    #[test]
    fn polls_of_one_kind_leave_a_place_for_the_other() {
        for count in 1..=5 {
            for is_own in [false, true] {
                let places = Places::new(count, true);
                let ours = open_all(&places, is_own);
                assert!(!ours.is_empty(), "{count} places");
                let theirs = places.poll(!is_own).now_or_never().expect("the other kind can poll");
                assert!(theirs.take().now_or_never().is_some(), "its task can begin, of {count} places");
            }
        }
    }

    #[test]
    fn tasks_are_never_more_than_places() {
        for count in 1..=5 {
            let places = Places::new(count, true);
            let polls: Vec<_> = [open_all(&places, false), open_all(&places, true)].into_iter().flatten().collect();
            let begun: Vec<_> = polls.into_iter().filter_map(|poll| poll.take().now_or_never()).collect();
            assert_eq!(begun.len(), count);
            assert!(places.try_take().is_none());
            drop(begun);
            assert!(places.try_take().is_some());
        }
    }

    #[test]
    fn without_a_cache_all_places_are_polled_for() {
        assert_eq!(open_all(&Places::new(3, false), false).len(), 3);
    }
}
