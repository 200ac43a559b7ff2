//! Workers that have shut down.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The time for which a worker that shut down is remembered; a poll that was sent before arrives earlier.
const GONE_WORKER_KEPT_FOR: Duration = Duration::from_secs(70);

/// The instance keys of workers that have shut down, in that order.
#[derive(Debug, Default)]
pub(super) struct GoneWorkers(VecDeque<(Arc<str>, Instant)>);

impl GoneWorkers {
    pub(super) fn add(&mut self, worker: &str) {
        self.forget_old();
        self.0.push_back((worker.into(), Instant::now()));
    }

    pub(super) fn has(&mut self, worker: &str) -> bool {
        self.forget_old();
        !worker.is_empty() && self.0.iter().any(|(gone, _)| **gone == *worker)
    }

    fn forget_old(&mut self) {
        while self.0.front().is_some_and(|(_, since)| since.elapsed() > GONE_WORKER_KEPT_FOR) {
            self.0.pop_front();
        }
    }
}
