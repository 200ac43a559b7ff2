//! Recorded histories against today's code.

use std::fmt;
use std::sync::Arc;

use crate::activity::ActivityOptions;
use crate::executor::{Definition, Run, RunOptions, Step, Task};
use crate::history::History;
use crate::worker::Registry;
use crate::workflow::Workflow;

/// Replays recorded histories against the workflow code of this program: whoever fails here would fail after a deploy.
///
/// No server is asked and no activity runs.
///
/// ```no_run
/// use everloop::History;
/// use everloop::testing::Replayer;
/// # use everloop::prelude::*;
/// # fn replay<OneClickBuy: everloop::Workflow>() -> Result<(), Box<dyn std::error::Error>> {
/// let recorded = History::from_bytes(&std::fs::read("tests/histories/buy-1.pb")?)?;
/// Replayer::new().workflow::<OneClickBuy>().replay(&recorded)?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use = "a replayer does nothing until it is given a history"]
pub struct Replayer {
    registry: Registry,
}

/// A history that does not fit the workflow code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayFailure {
    /// Of the history.
    pub workflow_id: String,
    /// Of the history.
    pub run_id: String,
    /// Of the history.
    pub workflow_type: String,
    /// Which event differs, what the code issued instead and where, and what to do.
    pub message: String,
}

impl fmt::Display for ReplayFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workflow_id, run_id, workflow_type, message } = self;
        write!(f, "the history of `{workflow_id}` ({workflow_type}, run {run_id}) does not replay: {message}")
    }
}

impl std::error::Error for ReplayFailure {}

impl Replayer {
    /// Knows no workflow yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a workflow type.
    pub fn workflow<W: Workflow>(mut self) -> Self {
        self.registry.workflow::<W>();
        self
    }

    /// Replays a history from its first event to its last.
    ///
    /// # Errors
    /// At the first event that the code does not lead to, and if the workflow type was not added.
    pub fn replay(&self, history: &History) -> Result<(), ReplayFailure> {
        self.replay_in_pages(history, &[])
    }

    /// Replays a history that arrives in pages, as from a server: each number is how many events have come when a page ends.
    /// The outcome must not depend on it; the executor's own tests make sure.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub fn replay_in_pages(&self, history: &History, cuts: &[usize]) -> Result<(), ReplayFailure> {
        let fail = |message: String| ReplayFailure {
            workflow_id: history.workflow_id().to_owned(),
            run_id: history.run_id().to_owned(),
            workflow_type: history.workflow_type().to_owned(),
            message,
        };
        let Some(definition) = self.registry.workflows.get(history.workflow_type()) else {
            let known: Vec<_> = self.registry.workflows.keys().copied().collect();
            return Err(fail(format!(
                "the workflow type was not added to the replayer; there are: {}",
                known.join(", ")
            )));
        };
        replay_in_pages(definition, history, cuts).map_err(fail)
    }
}

/// A run that replays, with the options that no history depends on.
pub(super) fn new_run(definition: &Arc<dyn Definition>, workflow_id: &str, run_id: &str) -> Run {
    let options = RunOptions {
        namespace: "default".to_owned(),
        workflow_id: workflow_id.to_owned(),
        run_id: run_id.to_owned(),
        activity_defaults: ActivityOptions::new(),
        rules_supported: true,
    };
    Run::new(definition.clone(), options)
}

/// Replays a history in pages that end after so many events.
pub(super) fn replay_in_pages(
    definition: &Arc<dyn Definition>,
    history: &History,
    cuts: &[usize],
) -> Result<(), String> {
    let mut run = new_run(definition, history.workflow_id(), history.run_id());
    let events = history.events();
    let ends = cuts.iter().copied().filter(|end| *end > 0 && *end < events.len()).chain([events.len()]);
    let mut from = 0;
    for to in ends {
        let to = to.max(from);
        let (page, more) = (events[from..to].to_vec(), to < events.len());
        let mut step = match from {
            0 => run.begin(Task { events: page, more, updates: Vec::new() }),
            _ => run.extend(page, more),
        };
        from = to;
        while let Step::Yielded = step {
            step = run.resume();
        }
        match step {
            Step::Failed(failure) => return Err(failure.to_string()),
            // The end of the history, or a task that was not completed when it was recorded.
            Step::Settled | Step::Complete(_) | Step::NeedHistory | Step::Yielded => {}
        }
    }
    Ok(())
}
