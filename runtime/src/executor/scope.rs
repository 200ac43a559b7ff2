//! Cancellation scopes: a forest in which a cancellation of a scope reaches all scopes below it.
//!
//! The main coroutine owns the root; `spawn` creates a scope below its spawner's; each handler and each shielded future has its
//! own tree, which cancellations of the workflow do not reach.

use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ScopeId(u64);

#[derive(Default)]
struct CancellationScope {
    parent: Option<ScopeId>,
    /// The number of scopes whose parent is this one.
    children: usize,
    /// Whether the coroutine has ended; the scope stays for its children.
    ended: bool,
    /// Whether the scope was cancelled. Never reset.
    cancelled: bool,
    /// Whether no operation was pending when the cancellation came: the next one that is polled in the scope takes it.
    undelivered: bool,
}

pub(super) struct Scopes {
    scopes: BTreeMap<ScopeId, CancellationScope>,
    next: u64,
}

impl Scopes {
    /// The scope of the main coroutine.
    pub(super) const ROOT: ScopeId = ScopeId(0);
    /// No scope: cancellations do not reach its operations. For the timer of a timeout.
    pub(super) const NONE: ScopeId = ScopeId(u64::MAX);

    pub(super) fn new() -> Self {
        Self { scopes: BTreeMap::from([(Self::ROOT, CancellationScope::default())]), next: 1 }
    }

    pub(super) fn add(&mut self, parent: Option<ScopeId>) -> ScopeId {
        let id = ScopeId(self.next);
        self.next += 1;
        if let Some(parent) = parent.and_then(|parent| self.scopes.get_mut(&parent)) {
            parent.children += 1;
        }
        self.scopes.insert(id, CancellationScope { parent, ..CancellationScope::default() });
        id
    }

    /// Whether the end of a scope would leave scopes without their parent. The root never ends.
    pub(super) fn leaves_children(&self, id: ScopeId) -> bool {
        id != Self::ROOT && self.scopes.get(&id).is_some_and(|scope| scope.children > 0)
    }

    /// Ends the scope of a coroutine that has ended, and returns the scope that takes over its operations. The root stays.
    ///
    /// With `stays_for_children`, a scope that has children is kept until they have ended, so that they stay cancelled if it
    /// was. Otherwise its parent adopts the children.
    pub(super) fn end(&mut self, id: ScopeId, stays_for_children: bool) -> Option<ScopeId> {
        if id == Self::ROOT {
            return None;
        }
        let scope = self.scopes.get_mut(&id)?;
        let parent = scope.parent;
        if stays_for_children && scope.children > 0 {
            scope.ended = true;
        } else {
            self.forget(id);
        }
        Some(parent.unwrap_or(Self::NONE))
    }

    /// Removes a scope, and ended scopes above it that have no other children.
    fn forget(&mut self, id: ScopeId) {
        let mut next = Some(id);
        while let Some(CancellationScope { parent, children, .. }) = next.take().and_then(|id| self.scopes.remove(&id))
        {
            if children > 0 {
                for scope in self.scopes.values_mut().filter(|scope| scope.parent == Some(id)) {
                    scope.parent = parent;
                }
            }
            if let Some(id) = parent
                && let Some(scope) = self.scopes.get_mut(&id)
            {
                scope.children += children;
                scope.children -= 1;
                next = (scope.ended && scope.children == 0).then_some(id);
            }
        }
    }

    /// Marks a scope as cancelled. Returns false if it was cancelled before.
    pub(super) fn cancel(&mut self, id: ScopeId) -> bool {
        self.scopes.get_mut(&id).is_some_and(|scope| !std::mem::replace(&mut scope.cancelled, true))
    }

    /// Keeps the cancellation for the next operation that is polled, because none was pending.
    pub(super) fn leave_undelivered(&mut self, id: ScopeId) {
        if let Some(scope) = self.scopes.get_mut(&id) {
            scope.undelivered = true;
        }
    }

    /// Takes the nearest undelivered cancellation at or above a scope.
    pub(super) fn take_undelivered(&mut self, id: ScopeId) -> bool {
        let mut next = Some(id);
        while let Some(scope) = next.and_then(|id| self.scopes.get_mut(&id)) {
            if std::mem::take(&mut scope.undelivered) {
                return true;
            }
            next = scope.parent;
        }
        false
    }

    /// Sets whether a cancellation waits for the next operation in a scope, and returns whether one did.
    pub(super) fn replace_undelivered(&mut self, id: ScopeId, undelivered: bool) -> bool {
        self.scopes.get_mut(&id).is_some_and(|scope| std::mem::replace(&mut scope.undelivered, undelivered))
    }

    /// The number of cancellations of a scope and of the scopes above it.
    pub(super) fn requests(&self, id: ScopeId) -> usize {
        self.upward(id).filter(|(_, scope)| scope.cancelled).count()
    }

    /// Whether a scope or a scope above it was cancelled.
    pub(super) fn is_cancelled(&self, id: ScopeId) -> bool {
        self.upward(id).any(|scope| scope.1.cancelled)
    }

    /// Whether `inner` is `outer` or a scope below it.
    pub(super) fn is_within(&self, inner: ScopeId, outer: ScopeId) -> bool {
        self.upward(inner).any(|scope| scope.0 == outer)
    }

    fn upward(&self, id: ScopeId) -> impl Iterator<Item = (ScopeId, &CancellationScope)> {
        let find = |id: ScopeId| self.scopes.get(&id).map(|scope| (id, scope));
        std::iter::successors(find(id), move |(_, scope)| scope.parent.and_then(find))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancellation_reaches_scopes_below_and_is_taken_once() {
        let mut scopes = Scopes::new();
        let child = scopes.add(Some(Scopes::ROOT));
        let handler = scopes.add(None);
        assert!(scopes.cancel(Scopes::ROOT) && !scopes.cancel(Scopes::ROOT));
        assert!(scopes.is_cancelled(child) && !scopes.is_cancelled(handler));
        scopes.leave_undelivered(Scopes::ROOT);
        assert!(!scopes.take_undelivered(handler));
        assert!(scopes.take_undelivered(child) && !scopes.take_undelivered(child));
        assert!(!scopes.is_cancelled(Scopes::NONE) && !scopes.is_within(Scopes::NONE, Scopes::ROOT));
    }

    #[test]
    fn ended_scope_stays_until_its_last_child_has_ended() {
        let mut scopes = Scopes::new();
        let parent = scopes.add(Some(Scopes::ROOT));
        let child = scopes.add(Some(parent));
        let grandchild = scopes.add(Some(child));
        scopes.cancel(parent);
        assert_eq!(scopes.end(parent, true), Some(Scopes::ROOT));
        assert_eq!(scopes.end(child, true), Some(parent));
        assert!(scopes.is_cancelled(grandchild) && !scopes.is_cancelled(Scopes::ROOT));
        scopes.end(grandchild, true);
        assert_eq!(scopes.scopes.len(), 1, "only the root is left");
        assert!(!scopes.leaves_children(parent));
    }

    #[test]
    fn parent_adopts_the_children_of_a_scope_that_does_not_stay() {
        let mut scopes = Scopes::new();
        let parent = scopes.add(Some(Scopes::ROOT));
        let child = scopes.add(Some(parent));
        scopes.cancel(parent);
        scopes.end(parent, false);
        assert!(!scopes.is_cancelled(child) && scopes.is_within(child, Scopes::ROOT));
        assert_eq!(scopes.scopes[&Scopes::ROOT].children, 1);
        scopes.end(child, false);
        assert_eq!(scopes.scopes[&Scopes::ROOT].children, 0);
    }
}
