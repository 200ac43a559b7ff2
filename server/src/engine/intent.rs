//! Messages of a run to other runs, which the service carries out after the commit.

use prost::Message;

use crate::engine::event::{EventId, HistoryEvent};

/// A message of a run to another run.
///
/// Those of an open run follow from its state: recovery sends them again, and receivers recognize repeats. Those of a
/// run that has closed are stored until they are delivered, in an [`Outbox`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Intent {
    /// Start the child that this event asks for, and report the result.
    StartChild(EventId),
    /// This run is a child: report its start to the parent, then schedule the first workflow task.
    Introduce,
    /// Send the signal that this event asks for, and report the result.
    SignalExternal(EventId),
    /// Send the cancel request that this event asks for, and report the result.
    CancelExternal(EventId),
    /// This run was a child and has closed: report that to the parent.
    ReportClose(Box<ChildReport>),
    /// This run was a parent and has closed: apply the parent close policy to a child.
    Leave(Box<LeftChild>),
}

/// The end of a child, for its parent.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChildReport {
    #[prost(string, tag = "1")]
    pub(crate) parent_workflow_id: String,
    #[prost(string, tag = "2")]
    pub(crate) parent_run_id: String,
    #[prost(int64, tag = "3")]
    pub(crate) initiated_event_id: EventId,
    /// The run that the parent knows as the child's.
    #[prost(string, tag = "4")]
    pub(crate) first_run_id: String,
    /// The event of the parent, without the number of the event that started the child.
    #[prost(message, optional, tag = "5")]
    pub(crate) event: Option<HistoryEvent>,
}

/// A child whose parent has closed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct LeftChild {
    #[prost(string, tag = "1")]
    pub(crate) workflow_id: String,
    #[prost(string, tag = "2")]
    pub(crate) first_run_id: String,
    /// The number of the policy in the protocol.
    #[prost(int32, tag = "3")]
    pub(crate) parent_close_policy: i32,
}

/// The messages of a closed run that are not delivered yet, as the store keeps them.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Outbox {
    #[prost(string, tag = "1")]
    pub(crate) workflow_id: String,
    #[prost(string, tag = "2")]
    pub(crate) run_id: String,
    #[prost(message, repeated, tag = "3")]
    reports: Vec<ChildReport>,
    #[prost(message, repeated, tag = "4")]
    left: Vec<LeftChild>,
}

impl Outbox {
    /// The messages of a run that has closed; an open run needs no outbox.
    pub(crate) fn of(workflow_id: &str, run_id: &str, intents: &[Intent]) -> Self {
        let mut outbox = Self { workflow_id: workflow_id.to_owned(), run_id: run_id.to_owned(), ..Self::default() };
        for intent in intents {
            match intent {
                Intent::ReportClose(report) => outbox.reports.push((**report).clone()),
                Intent::Leave(child) => outbox.left.push((**child).clone()),
                Intent::StartChild(_) | Intent::Introduce | Intent::SignalExternal(_) | Intent::CancelExternal(_) => {}
            }
        }
        outbox
    }

    /// The messages, in the order in which they were sent.
    pub(crate) fn into_intents(self) -> Vec<Intent> {
        let reports = self.reports.into_iter().map(|report| Intent::ReportClose(Box::new(report)));
        reports.chain(self.left.into_iter().map(|child| Intent::Leave(Box::new(child)))).collect()
    }
}
