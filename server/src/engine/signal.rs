//! Signals to one run.

use crate::api::common::{Header, Link, Payloads, WorkflowExecution};
use crate::api::history::WorkflowExecutionSignaledEventAttributes;
use crate::engine::error::Refusal;
use crate::engine::event::{Attributes, EventId, HistoryEvent, Order, event};
use crate::engine::run::Run;
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::Time;
use crate::limits::SIGNALS_MAX;

/// A validated signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signal {
    pub(crate) name: String,
    pub(crate) input: Option<Payloads>,
    pub(crate) header: Option<Header>,
    pub(crate) identity: String,
    pub(crate) request_id: String,
    pub(crate) links: Vec<Link>,
    /// The workflow that sends it, if a workflow does.
    pub(crate) sender: Option<WorkflowExecution>,
}

/// The rules of signals.
pub(super) struct SignalRules;

impl Subject for SignalRules {
    fn order(event: &Attributes) -> Option<Order> {
        matches!(event, Attributes::WorkflowExecutionSignaledEventAttributes(_)).then_some(Order::Later)
    }

    fn apply(run: &mut Run, _: EventId, _: Time, event: &Attributes) -> Option<Applied> {
        let Attributes::WorkflowExecutionSignaledEventAttributes(signaled) = event else { return None };
        run.apply_signaled(signaled);
        Some(Ok(()))
    }
}

impl Run {
    /// Records a signal. A signal with a known request id is a repeat and is ignored.
    pub(crate) fn signal(&mut self, signal: Signal, now: Time) -> Result<(), Refusal> {
        if !self.record_signal(signal, now)? {
            return Ok(());
        }
        if self.state.first_task_due.is_none() {
            self.ensure_workflow_task(now);
        }
        Ok(())
    }

    /// As [`Run::signal`], but also ends a start delay.
    pub(crate) fn signal_with_start(&mut self, signal: Signal, now: Time) -> Result<(), Refusal> {
        if self.record_signal(signal, now)? {
            self.ensure_workflow_task(now);
        }
        Ok(())
    }

    /// Writes the signal; returns whether it is new.
    pub(super) fn record_signal(&mut self, signal: Signal, now: Time) -> Result<bool, Refusal> {
        if self.signal_request_ids.contains(&signal.request_id) {
            return Ok(false);
        }
        if !self.is_open() {
            return Err(Refusal::closed());
        }
        if self.state.close_attempted && self.has_started_workflow_task() {
            return Err(Refusal::closing());
        }
        if self.signal_count >= SIGNALS_MAX {
            return Err(Refusal::invalid("exceeded workflow execution limit for signal events"));
        }
        self.append_event(HistoryEvent {
            links: signal.links,
            ..event(
                now,
                WorkflowExecutionSignaledEventAttributes {
                    signal_name: signal.name,
                    input: signal.input,
                    identity: signal.identity,
                    header: signal.header,
                    request_id: signal.request_id,
                    external_workflow_execution: signal.sender,
                    ..Default::default()
                },
            )
        });
        Ok(true)
    }

    fn apply_signaled(&mut self, signaled: &WorkflowExecutionSignaledEventAttributes) {
        self.signal_count += 1;
        if !signaled.request_id.is_empty() {
            self.signal_request_ids.insert(signaled.request_id.clone());
        }
    }
}
