//! The writer thread, which writes all queued commits as one group.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::database::{self, Database};
use super::explain::sync_error;
use super::shared::{LINGERING_BYTES_MAX, PAGES_PER_WRITE, Queue, Shared};
use crate::store::error::StoreError;

/// The time for which the writer of a store in memory collects a group. No caller waits for this writer; it wakes less often,
/// and a run that starts and closes within a group costs one visibility row.
const GATHER: Duration = Duration::from_millis(5);

/// The time for which a write without a waiting caller stays in the queue of a file. A later commit mostly includes it before
/// that. A large queue is written earlier.
const LINGER: Duration = Duration::from_millis(200);

/// Starts the writer of a store. It ends when the queue is closed and, on a file, empty.
///
/// # Errors
///
/// If the operating system cannot create the thread.
pub(super) fn start(shared: &Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    thread::Builder::new().name("everloop-writer".into()).spawn(move || {
        let write = || match shared.file {
            Some(_) => shared.write_to_file(),
            None => shared.write_in_memory(),
        };
        // A poisoned lock means that a write panicked, and its effects are unknown.
        if catch_unwind(AssertUnwindSafe(write)).is_err() {
            shared.progress.fail("a write panicked");
        }
    })
}

impl Shared {
    fn write_in_memory(&self) {
        loop {
            let mut queue = self.lock_queue();
            while queue.items.is_empty() && !queue.closed {
                queue.writer_rests = true;
                queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.writer_rests = false;
            let gathered = self.wake.wait_timeout_while(queue, GATHER, |queue| !queue.closed);
            // The queue of a closed store in memory need not be written.
            if gathered.unwrap_or_else(PoisonError::into_inner).0.closed {
                return;
            }
            if let Err(error) = self.caught_up() {
                tracing::error!(%error, "nothing more is acknowledged");
                return;
            }
        }
    }

    /// Writes groups at the speed of the disk until the store is closed.
    fn write_to_file(&self) {
        loop {
            let mut queue = self.lock_queue();
            queue.writer_rests = true;
            let rests = |queue: &mut Queue| {
                let is_much = self.queued_bytes.load(Ordering::Relaxed) > LINGERING_BYTES_MAX;
                !(is_much || queue.closed) && queue.to_forget.is_empty() && self.progress.is_durable(queue.wanted)
            };
            let mut queue =
                self.wake.wait_timeout_while(queue, LINGER, rests).unwrap_or_else(PoisonError::into_inner).0;
            queue.writer_rests = false;
            let is_last = queue.closed && queue.items.is_empty();
            drop(queue);
            if is_last {
                return;
            }
            if let Err(error) = self.caught_up().and_then(|mut database| self.keep_house(&mut database)) {
                tracing::error!(%error, "nothing more is acknowledged until the file is opened again");
                return;
            }
        }
    }

    /// Runs the writer's work between groups.
    fn keep_house(&self, database: &mut Database) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        let due = self.lock_queue().to_forget.pop();
        if let Some((namespace, before_ns)) = due {
            file.pages_written.fetch_add(database::DROPS_PER_STEP * PAGES_PER_WRITE, Ordering::Relaxed);
            if !database.forget_closed(namespace, before_ns).map_err(|error| self.fail(&error))? {
                self.lock_queue().to_forget.push((namespace, before_ns));
            }
        }
        let written = i32::try_from(file.pages_written.swap(0, Ordering::Relaxed)).unwrap_or(i32::MAX);
        let pages = file.checkpoints.after_commit(&database.connection, written).map_err(|error| self.fail(&error))?;
        let mut room = file.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.keep(pages).map_err(|error| self.fail(&sync_error(&error)))
    }
}
