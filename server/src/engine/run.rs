//! One run: its state, and the transaction around every transition.
//!
//! A transition is a method of [`Run`] in one of the sibling modules; it validates first and changes the state
//! afterwards. The caller ends it with [`Run::close_transaction`], which numbers the buffered events and returns the
//! effects that the service must carry out. The run has no clock, thread or socket.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;

use crate::api::common;
use crate::engine::effects::{Close, Effects, Notice, Offer};
use crate::engine::event::{Attributes, BUFFERED, EventId, HistoryEvent, Order, event};
use crate::engine::history::History;
use crate::engine::intent::Intent;
use crate::engine::query::state::Queries;
use crate::engine::state::{Info, Snapshot, State};
use crate::engine::time::Time;
use crate::engine::workflow_task::state::TaskKind;
use crate::limits::{BUFFERED_BYTES_MAX, BUFFERED_EVENTS_MAX};

/// One open run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) info: Info,
    pub(crate) history: History,
    pub(crate) state: State,
    pub(crate) signal_request_ids: BTreeSet<String>,
    pub(crate) signal_count: usize,
    pub(crate) queries: Queries,
    pub(super) notices: Vec<Notice>,
    /// Effects of the completed steps of the current transition.
    pub(super) effects: Effects,
    /// A snapshot before the current transition, if the transition may make the history too long.
    pub(super) before_excess: Option<Box<Snapshot>>,
}

impl Run {
    /// An open run without events.
    pub(super) fn new(info: Info, memo: BTreeMap<String, common::Payload>) -> Self {
        let state = State { workflow_task_attempt: 1, memo, visible: true, ..State::default() };
        Self {
            info,
            history: History::new(),
            state,
            signal_request_ids: BTreeSet::new(),
            signal_count: 0,
            queries: Queries::default(),
            notices: Vec::new(),
            effects: Effects::default(),
            before_excess: None,
        }
    }

    /// Ends a transition; returns its effects.
    pub(crate) fn close_transaction(&mut self, now: Time, close: Close) -> Effects {
        self.close_step(now, close);
        let refusal = if self.is_open() { self.end_if_too_long(now) } else { None };
        if refusal.is_some() {
            self.close_step(now, Close::Write);
        }
        self.snapshot_if_nearly_too_long();
        Effects { refusal, ..std::mem::take(&mut self.effects) }
    }

    /// Ends one step of a transition: later events go into another batch.
    pub(super) fn close_step(&mut self, now: Time, close: Close) {
        if self.is_open() {
            if close == Close::Write {
                self.make_speculative_task_normal();
            }
            if self.has_started_workflow_task() && self.buffer_is_full() {
                self.fail_overflowing_workflow_task(now);
            }
            if !self.has_started_workflow_task() {
                self.flush_buffer();
            }
        }
        if !self.is_open() {
            self.leave_open_state();
        }
        self.effects.append(Effects {
            batches: self.history.hand_out().to_vec(),
            offers: std::mem::take(&mut self.state.offers),
            successor: self.state.successor.take(),
            intents: std::mem::take(&mut self.state.intents),
            notices: std::mem::take(&mut self.notices),
            visible: std::mem::take(&mut self.state.visible),
            overlay_changed: std::mem::take(&mut self.state.overlay_changed),
            refusal: None,
        });
    }

    /// Adds an event: to the history if a workflow task produced it, otherwise to the buffer, which
    /// [`Run::close_transaction`] empties unless a workflow task is in progress.
    pub(super) fn append(&mut self, time: Time, attributes: impl Into<Attributes>) -> EventId {
        self.append_event(event(time, attributes))
    }

    /// As [`Run::append`], for an event with fields besides its attributes.
    pub(super) fn append_event(&mut self, event: HistoryEvent) -> EventId {
        let waits = Self::order(&event) != Order::Now;
        let id = if waits { BUFFERED } else { self.history.next_event_id() };
        let applied = self.apply(id, &event);
        debug_assert_eq!(applied, Ok(()), "{event:?}");
        if waits {
            self.touch_overlay();
            self.state.buffered.push(event);
            return BUFFERED;
        }
        self.history.append(event)
    }

    /// Numbers the buffered events. Events that end something go last, so that they follow its start.
    pub(super) fn flush_buffer(&mut self) {
        if self.state.buffered.is_empty() {
            return;
        }
        self.touch_overlay();
        let mut started = BTreeMap::new();
        let mut ending = Vec::new();
        for event in std::mem::take(&mut self.state.buffered) {
            match Self::order(&event) {
                Order::Ending(asked) => ending.push((asked, event)),
                Order::Starting(asked) => {
                    started.insert(asked, self.number(event));
                }
                Order::Now | Order::Later => {
                    self.history.append(event);
                }
            }
        }
        for (asked, mut event) in ending {
            if let Some(id) = Self::started_event_id(&mut event).filter(|id| **id == BUFFERED)
                && let Some(real) = started.get(&asked)
            {
                *id = *real;
            }
            self.history.append(event);
        }
    }

    /// Takes a snapshot before a transition that may have to be undone.
    pub(super) fn snapshot(&self) -> Snapshot {
        (self.state.clone(), self.history.mark())
    }

    pub(super) fn roll_back(&mut self, (state, mark): Snapshot) {
        self.state = state;
        self.history.roll_back(mark);
        self.notices.clear();
    }

    pub(super) fn offer(&mut self, offer: Offer) {
        self.state.offers.push(offer);
    }

    /// Sends a message to another run after the transition.
    pub(super) fn send(&mut self, intent: Intent) {
        self.state.intents.push(intent);
    }

    /// Withdraws the offers of workflow tasks that this transition made.
    pub(super) fn withdraw_workflow_task_offers(&mut self) {
        self.state.offers.retain(|offer| !matches!(offer, Offer::WorkflowTask { .. }));
    }

    /// Withdraws the offer of an activity that this transition made.
    pub(super) fn withdraw_activity_offers(&mut self, id: EventId) {
        self.state.offers.retain(
            |offer| !matches!(offer, Offer::ActivityTask { scheduled_event_id, .. } if *scheduled_event_id == id),
        );
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// Marks the visibility row as changed.
    pub(super) fn touch_visibility(&mut self) {
        self.state.visible = true;
    }

    /// Marks the overlay as changed.
    pub(super) fn touch_overlay(&mut self) {
        self.state.overlay_changed = true;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state.close_time.is_none()
    }

    /// The number of started tasks of this run; they stop the time-skipping clock.
    pub(crate) fn tasks_in_progress(&self) -> usize {
        let workflow_task = usize::from(self.has_started_workflow_task());
        workflow_task + self.state.activities.values().filter(|activity| activity.started.is_some()).count()
    }

    /// Whether the run is idle: nothing happens before its next deadline or a request.
    pub(crate) fn is_idle(&self) -> bool {
        let task = self.state.workflow_task.as_ref();
        // A speculative task is dropped; its callers retry.
        task.is_none_or(|task| task.kind == TaskKind::Speculative)
            && self.state.activities.values().all(|activity| activity.backing_off)
            && self.state.unanswered == 0
            && !self.state.awaits_parent
            && self.state.buffered.is_empty()
    }

    pub(crate) fn execution(&self) -> common::WorkflowExecution {
        common::WorkflowExecution {
            workflow_id: self.info.workflow_id.to_string(),
            run_id: self.info.run_id.to_string(),
        }
    }

    fn buffer_is_full(&self) -> bool {
        self.state.buffered.len() > BUFFERED_EVENTS_MAX
            || (self.state.buffered.len() > 1
                && self.state.buffered.iter().map(HistoryEvent::encoded_len).sum::<usize>() > BUFFERED_BYTES_MAX)
    }
}
