//! Replay of recorded histories with current workflow code.

use std::fmt;
use std::sync::Arc;

use super::playback::{self, LARGEST_PAGE, PlayedTask};
use crate::executor::{Definition, listed};
use crate::history::{EncodedEvents, History, Origin};
use crate::registry::Registry;
use crate::worker::{SharedInterceptor, WorkerInterceptor, intercepted};
use crate::workflow::Workflow;

/// Replays recorded histories with the workflow code of this program: a workflow that fails here would fail after a deploy.
///
/// A replay needs no server and runs no activities.
///
/// ```no_run
/// use everloop::client::History;
/// use everloop::testing::Replayer;
/// # use everloop::prelude::*;
/// # fn replay<OneClickBuy: everloop::workflow::Workflow>() -> Result<(), Box<dyn std::error::Error>> {
/// let recorded = History::from_bytes(&std::fs::read("tests/histories/buy-1.pb")?)?;
/// Replayer::new().workflow::<OneClickBuy>().replay(&recorded)?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use = "a replayer does nothing until it is given a history"]
pub struct Replayer {
    registry: Registry,
    interceptors: Vec<SharedInterceptor>,
}

/// A history that does not fit the workflow code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayFailure {
    /// The workflow id of the history; empty if it could not be read.
    pub workflow_id: String,
    /// The run id of the history.
    pub run_id: String,
    /// The workflow type of the history.
    pub workflow_type: String,
    /// The event that differs, the command that the code issued instead, its line, and advice.
    pub message: String,
}

impl fmt::Display for ReplayFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workflow_id, run_id, workflow_type, message } = self;
        if workflow_id.is_empty() {
            return f.write_str(message);
        }
        write!(f, "the history of `{workflow_id}` ({workflow_type}, run {run_id}) does not replay: {message}")
    }
}

impl std::error::Error for ReplayFailure {}

impl Replayer {
    /// A replayer without workflow types.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a workflow type.
    pub fn workflow<W: Workflow>(mut self) -> Self {
        self.registry.workflow::<W>();
        self
    }

    /// Adds an interceptor, as the worker that recorded the histories has it. Only interceptors that issue commands around workflow code
    /// make a difference.
    pub fn interceptor(mut self, interceptor: impl WorkerInterceptor) -> Self {
        self.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Replays a history from its first event to its last.
    ///
    /// # Errors
    /// At the first event that differs from the code's command, and if the workflow type was not added.
    pub fn replay(&self, history: &History) -> Result<(), ReplayFailure> {
        self.replay_in_pages(history, &[])
    }

    /// Replays an encoded history, as from [`History::to_bytes`]. Events are decoded one at a time, so a long history needs
    /// little memory.
    ///
    /// # Errors
    /// As [`replay`](Self::replay), and if the bytes are no history.
    pub fn replay_bytes(&self, bytes: &[u8]) -> Result<(), ReplayFailure> {
        let origin = EncodedEvents(bytes).next().transpose().and_then(|first| Origin::of(first.as_ref()));
        let origin = origin.map_err(|error| {
            let unknown = String::new;
            let message = error.to_string();
            ReplayFailure { workflow_id: unknown(), run_id: unknown(), workflow_type: unknown(), message }
        })?;
        let (workflow_id, run_id) = (origin.workflow_id.clone(), origin.run_id.clone());
        let mut events = EncodedEvents(bytes);
        let page = move || {
            let page: Result<Vec<_>, _> = events.by_ref().take(LARGEST_PAGE).collect();
            page.map(|page| (!page.is_empty()).then_some(page)).map_err(|error| error.to_string()).transpose()
        };
        self.play(origin, |definition| {
            let run = playback::new_run(definition, &workflow_id, &run_id);
            playback::replay_pages(run, std::iter::from_fn(page)).map(drop)
        })
    }

    /// Replays a history in pages, as from a server: each number is the count of events at the end of a page. The outcome does
    /// not depend on the pages; this method serves tests of the executor.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub fn replay_in_pages(&self, history: &History, cuts: &[usize]) -> Result<(), ReplayFailure> {
        self.play(Origin::from(history), |definition| playback::replay(definition, history, cuts).map(drop))
    }

    /// Runs the tasks of a history again and returns the commands of each, for tests of the executor.
    ///
    /// `cuts` are as for [`replay_in_pages`](Self::replay_in_pages). The run is dropped before each task in `evictions`,
    /// counted from 0, so that the task has the whole history and not only new events.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    #[doc(hidden)]
    pub fn live(
        &self,
        history: &History,
        cuts: &[usize],
        evictions: &[usize],
    ) -> Result<Vec<PlayedTask>, ReplayFailure> {
        self.play(Origin::from(history), |definition| playback::live(definition, history, cuts, evictions))
    }

    fn play<R: Send>(
        &self,
        origin: Origin,
        play: impl FnOnce(&Arc<dyn Definition>) -> Result<R, String> + Send,
    ) -> Result<R, ReplayFailure> {
        let played = match self.registry.workflows.get(origin.workflow_type.as_str()) {
            Some(definition) => {
                let definition = intercepted(definition.clone(), &self.interceptors);
                playback::on_own_thread(|| play(&definition))
            }
            None => {
                let known: Vec<_> = self.registry.workflows.keys().copied().collect();
                Err(format!("the workflow type was not added to the replayer; there are: {}", listed(&known)))
            }
        };
        played.map_err(|message| {
            let Origin { workflow_id, run_id, workflow_type } = origin;
            ReplayFailure { workflow_id, run_id, workflow_type, message }
        })
    }
}
