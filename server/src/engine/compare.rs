//! Compares a run with the run rebuilt from its events, for tests: after each transition they must be equal.

use std::sync::Arc;

use prost::Message as _;

use crate::engine::fold::{Fold, RunIds};
use crate::engine::history::decode_all;
use crate::engine::overlay::Overlay;
use crate::engine::recover::Stored;
use crate::engine::run::Run;
use crate::engine::workflow_task::state::TaskKind;

impl Run {
    /// Compares the run with the one that recovery would build from its written state. Returns `None` if they are
    /// equal.
    pub(crate) fn difference_to_stored(&self) -> Option<String> {
        let compared = if self.is_open() { self.compare_open() } else { self.compare_closed() };
        match compared {
            Ok((here, stored)) if here == stored => None,
            Ok((here, stored)) => {
                let (here, stored) = (in_order(&here), in_order(&stored));
                (here != stored).then(|| first_difference(&here, &stored))
            }
            Err(problem) => Some(problem),
        }
    }

    fn compare_open(&self) -> Result<(String, String), String> {
        let overlay = Overlay::decode(self.overlay().to_bytes()).map_err(|error| error.to_string())?;
        let stored = Stored { ids: self.ids(), batches: self.history.batches().to_vec(), overlay };
        let stored = Self::recover(stored).map_err(|error| error.to_string())?;
        Ok((self.lasting_state(), stored.lasting_state()))
    }

    fn compare_closed(&self) -> Result<(String, String), String> {
        let mut fold = Fold::new(self.ids());
        for event in decode_all(self.history.batches()).map_err(|error| error.to_string())? {
            fold.apply(&event).map_err(|error| error.to_string())?;
        }
        let stored = fold.into_run().map_err(|error| error.to_string())?;
        Ok((self.final_state(), stored.final_state()))
    }

    fn ids(&self) -> RunIds {
        RunIds {
            namespace: self.info.namespace.clone(),
            workflow_id: Arc::clone(&self.info.workflow_id),
            run_id: Arc::clone(&self.info.run_id),
            create_request_id: Arc::clone(&self.info.create_request_id),
        }
    }

    /// The state of an open run that recovery must restore, as text.
    pub(super) fn lasting_state(&self) -> String {
        let state = &self.state;
        // Of the current workflow task, only the written state. The sticky queue may be lost.
        let task = state.workflow_task.as_ref().filter(|task| task.is_written()).map(|task| {
            let started = task.started.as_ref().map(|it| (it.event_id, it.time, it.request_id.clone()));
            (task.stamp, task.scheduled_event_id, task.scheduled_time, task.timeout, started)
        });
        let is_speculative = state.workflow_task.as_ref().is_some_and(|task| task.kind == TaskKind::Speculative);
        let attempt = if is_speculative { 1 } else { state.workflow_task_attempt };
        let deadlines = self.deadlines_but_of_workflow_tasks();
        format!(
            "{:#?}",
            (
                (&self.info, &state.attached_request_ids, &self.signal_request_ids, self.signal_count),
                (self.history.next_event_id(), self.history.size_bytes(), self.history.transitions()),
                (task, attempt, state.previous_started_event_id),
                (&state.activities, &state.activity_ids, &state.timers, &state.buffered, deadlines),
                (
                    state.cancel_requested,
                    state.first_task_due,
                    &state.memo,
                    &state.search_attributes,
                    state.updates.written()
                ),
                (&state.children, &state.signals_sent, &state.cancels_sent, state.unanswered, state.awaits_parent),
            )
        )
    }

    /// The state of a closed run that callers can request, as text.
    fn final_state(&self) -> String {
        let state = &self.state;
        format!(
            "{:#?}",
            (
                (&self.info, &self.signal_request_ids, self.signal_count),
                (state.status, state.close_time, state.cancel_requested, state.previous_started_event_id),
                (&state.memo, &state.search_attributes, state.updates.completed()),
            )
        )
    }
}

/// The same indented text with the entries of each `{ … }` sorted: maps of the wire, such as the metadata of a payload, have no
/// order.
fn in_order(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut ordered = Vec::new();
    entries(&lines).into_iter().for_each(|entry| ordered.extend(entry));
    ordered.join("\n")
}

/// The entries of a block of lines, each with everything that is indented below it, in their order.
fn entries<'a>(lines: &[&'a str]) -> Vec<Vec<&'a str>> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let Some(outer) = lines.first().map(|line| indent(line)) else { return Vec::new() };
    let mut entries = Vec::new();
    let mut rest = lines;
    while let Some((head, below)) = rest.split_first() {
        let inside = below.iter().take_while(|line| indent(line) > outer).count();
        let (inside, after) = below.split_at(inside);
        let mut children = self::entries(inside);
        if head.ends_with('{') {
            children.sort();
        }
        let mut entry = vec![*head];
        children.into_iter().for_each(|child| entry.extend(child));
        rest = after;
        // The line that closes it, such as `},`.
        if let (false, Some((close, after))) = (inside.is_empty(), rest.split_first()) {
            entry.push(close);
            rest = after;
        }
        entries.push(entry);
    }
    entries
}

/// The first line in which two texts differ, with the lines before it.
fn first_difference(here: &str, stored: &str) -> String {
    let same = here.lines().zip(stored.lines()).take_while(|(one, other)| one == other).count();
    let around = |text: &str| text.lines().skip(same.saturating_sub(12)).take(18).collect::<Vec<_>>().join("\n");
    format!("the run has\n{}\nand its events make\n{}", around(here), around(stored))
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "the maps of the wire are hash maps")]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The comparison took the two orders of a payload's metadata, which is a map, for different states.
    #[test]
    fn order_of_maps_is_no_difference_and_order_of_lists_is_one() {
        let map = |keys: [&str; 3]| keys.map(|key| (key.to_owned(), vec![1, 2])).into_iter().collect::<HashMap<_, _>>();
        let text =
            |numbers: [u8; 2]| in_order(&format!("{:#?}", (map(["a", "b", "c"]), numbers, map(["d", "e", "f"]))));
        // Each map has an order of its own.
        assert!((0..20).all(|_| text([1, 2]) == text([1, 2])));
        assert_ne!(text([1, 2]), text([2, 1]));
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        let whole = format!("{:#?}", (map(["a", "b", "c"]), [1, 2]));
        assert_eq!(lines(&in_order(&whole)), lines(&whole), "no line is lost");
    }
}
