//! What is read: runs and namespaces as the store keeps them.

use std::sync::Arc;

use bytes::Bytes;

use super::commit::Wake;
use crate::model::{NamespaceKey, RunKey, VisibilityRow};

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

/// A namespace as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamespaceRow {
    pub(crate) namespace: NamespaceKey,
    pub(crate) name: Arc<str>,
    /// An encoded `DescribeNamespaceResponse`; `namespaces` knows what it means.
    pub(crate) description: Bytes,
}

/// How much history one read hands out at most; at least one batch comes whenever there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadLimit {
    pub(crate) batches_max: usize,
    pub(crate) bytes_max: usize,
}
