//! Runs and records, as the store returns them.

use std::sync::Arc;

use bytes::Bytes;

use crate::model::{NamespaceKey, RunKey, VisibilityRow};

/// When an open run has to be in memory, unless somebody asks for it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Something is to be done about it.
    AtOnce,
    /// At this moment, in nanoseconds since 1970.
    At(i64),
    /// It waits for requests alone.
    WhenAsked,
}

/// An open run that is not in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DormantRun {
    pub(crate) run: RunKey,
    pub(crate) namespace: NamespaceKey,
    pub(crate) workflow_id: Arc<str>,
    pub(crate) wake: Wake,
}

/// A run as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredRun {
    pub(crate) run: RunKey,
    pub(crate) visibility: VisibilityRow,
    pub(crate) overlay: Option<Bytes>,
    pub(crate) wake: Wake,
}

/// The kinds of records. The number of a kind stands in files, so it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// A namespace, under its own key: an encoded `DescribeNamespaceResponse`.
    Namespace = 1,
    /// The messages of a closed run to other runs, under the run's key.
    Outbox = 2,
}

/// Something with a name that is no run, as the store keeps it. The store does not look into its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: RecordKind,
    pub(crate) namespace: NamespaceKey,
    pub(crate) name: Arc<str>,
    pub(crate) data: Bytes,
}

/// How much history one read hands out at most; at least one batch comes whenever there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadLimit {
    pub(crate) batches_max: usize,
    pub(crate) bytes_max: usize,
}
