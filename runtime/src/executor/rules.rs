//! Versions of the executor's own rules.
//!
//! Histories are replayed under the rules with which they were recorded. Each change of a rule has a number; the numbers in use
//! are recorded in the completed task's SDK metadata. A rule holds if history recorded it in any task so far; otherwise a
//! live task adopts and records it.

use std::collections::BTreeSet;

use super::error::ReplayError;

/// The rules of this version, by number. `Base` stands for the rules in ARCHITECTURE.md about the order within tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(super) enum Rule {
    Base = 1,
    /// The scope of a coroutine that has ended stays for the coroutines it spawned: they stay cancelled if the scope was, they
    /// take a cancellation that the scope had not delivered, and the handle still cancels them. Before this rule, the parent
    /// scope adopted them.
    EndedScopesStay = 2,
    /// A cancelled timer keeps its outcome until its future takes it. Before this rule, the outcome was lost when history had
    /// the cancellation, so a future that was polled later waited forever.
    CancelledTimersStay = 3,
}

const KNOWN: &[Rule] = &[Rule::Base, Rule::EndedScopesStay, Rule::CancelledTimersStay];

/// The SDK's name that Everloop's workers record. The numbers of other SDKs have other meanings.
pub(crate) const SDK_NAME: &str = "everloop";

pub(super) struct Rules {
    recorded: BTreeSet<u32>,
    adopted: BTreeSet<u32>,
    /// Whether the server keeps SDK metadata. Otherwise only the base rules ever hold.
    supported: bool,
}

impl Rules {
    pub(super) fn new(supported: bool) -> Self {
        Self { recorded: BTreeSet::new(), adopted: BTreeSet::new(), supported }
    }

    /// Adds the numbers of a task that history has completed.
    pub(super) fn record(&mut self, event_id: i64, numbers: &[u32]) -> Result<(), ReplayError> {
        for number in numbers {
            if !KNOWN.iter().any(|rule| *rule as u32 == *number) {
                return Err(ReplayError::UnknownRule { event_id, number: *number });
            }
            self.recorded.insert(*number);
        }
        Ok(())
    }

    /// Whether a rule holds. In a live task, this call adopts the rule.
    pub(super) fn holds(&mut self, rule: Rule, replaying: bool) -> bool {
        let number = rule as u32;
        if self.recorded.contains(&number) || self.adopted.contains(&number) {
            return true;
        }
        if replaying || !self.supported {
            return rule == Rule::Base;
        }
        self.adopted.insert(number)
    }

    /// The numbers to record with the task that is being completed.
    pub(super) fn take_adopted(&mut self) -> Vec<u32> {
        let adopted = std::mem::take(&mut self.adopted);
        self.recorded.extend(&adopted);
        adopted.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_recorded_once_and_unknown_ones_refused() {
        let mut rules = Rules::new(true);
        assert!(rules.holds(Rule::Base, false));
        assert_eq!(rules.take_adopted(), [1]);
        assert!(rules.holds(Rule::Base, false) && rules.take_adopted().is_empty());
        let error = rules.record(7, &[1, 900]).unwrap_err().to_string();
        assert!(error.contains("event 7") && error.contains("900"), "{error}");
    }

    #[test]
    fn without_server_support_nothing_is_recorded() {
        let mut rules = Rules::new(false);
        assert!(rules.holds(Rule::Base, false) && rules.take_adopted().is_empty());
    }
}
