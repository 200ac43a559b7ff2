//! The runs that a thread keeps.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::Span;

use crate::executor::Run;
use crate::worker::jobs::{Answer, IdleRun, Query, Turn, WorkflowJob};

/// A run with what is under way for it.
pub(super) struct Entry {
    pub(super) run: Run,
    pub(super) workflow_id: String,
    pub(super) workflow_type: &'static str,
    /// Around all of its code.
    pub(super) span: Span,
    pub(super) state: State,
    pub(super) idle_since: Instant,
    /// How often it was listed as idle since then.
    pub(super) listed: u32,
    /// Jobs that came while one was under way.
    pub(super) waiting: VecDeque<(Box<WorkflowJob>, oneshot::Sender<Answer>)>,
}

pub(super) enum State {
    Idle(Turn),
    /// Between `begin` and the answer: it may wait for a page, or while others are let in.
    Working {
        completes_task: bool,
        queries: Vec<Query>,
        reply: Option<oneshot::Sender<Answer>>,
    },
}

#[derive(Default)]
pub(super) struct Runs {
    pub(super) entries: HashMap<Arc<str>, Entry>,
    /// The least recently used ones first.
    pub(super) idle: BTreeMap<Turn, Arc<str>>,
    /// Long replays that let others in.
    pub(super) yielded: VecDeque<Arc<str>>,
    /// Jobs that waited for a run which is free now, or gone. They come before all others.
    pub(super) ready: VecDeque<(Arc<str>, Box<WorkflowJob>, oneshot::Sender<Answer>)>,
}

/// After how long a run that was listed so many times is listed again: the time doubles up to an hour of minutes.
fn listed_after(times: u32) -> u32 {
    if times < 6 { 1 << times } else { (times - 5).saturating_mul(64) }
}

impl Runs {
    /// Whether nothing goes on before another job comes.
    pub(super) fn is_waiting(&self) -> bool {
        self.yielded.is_empty() && self.ready.is_empty()
    }

    pub(super) fn list_idle(&mut self, first: Duration, limit: usize) -> Vec<IdleRun> {
        let mut list = Vec::new();
        for (turn, run_id) in &self.idle {
            if list.len() == limit {
                break;
            }
            let Some(entry) = self.entries.get_mut(run_id) else { continue };
            if entry.idle_since.elapsed() >= first.saturating_mul(listed_after(entry.listed)) {
                entry.listed += 1;
                list.push(IdleRun { workflow_id: entry.workflow_id.clone(), run_id: run_id.clone(), turn: *turn });
            }
        }
        list
    }
}
