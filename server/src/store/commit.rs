//! The writes of a commit, and the place of a commit among all commits.

use bytes::Bytes;

use super::stored::{Record, Wake};
use crate::model::{HistoryBatch, RunKey, VisibilityRow};

/// The place of one commit in the order of all commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CommitSeq(pub(crate) u64);

/// Everything one transition of one run writes.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) run: RunKey,
    /// A transition with several batches is several writes of one commit.
    pub(crate) history: Option<HistoryBatch>,
    /// The whole row, when something visible changed. The first write of a run carries it.
    pub(crate) visibility: Option<Box<VisibilityRow>>,
    /// State that history does not tell, in the engine's own encoding. It replaces the one before and stays when the
    /// run closes (what a closed run needs, request ids say, goes here too); empty bytes remove it.
    pub(crate) overlay: Option<Bytes>,
    /// When the run has to be in memory again after a restart, if that changed. A new run has to be at once.
    pub(crate) wake: Option<Wake>,
    /// The run's messages to other runs that are not delivered, as a record; empty data removes it.
    pub(crate) outbox: Option<Record>,
}

impl Write {
    /// A write of a run that changes nothing.
    pub(crate) fn nothing(run: RunKey) -> Self {
        Self { run, history: None, visibility: None, overlay: None, wake: None, outbox: None }
    }
}
