//! The owner of a payload.

/// The workflow and the activity that a payload belongs to: a codec may choose its key by them.
///
/// The payloads of a workflow (inputs, results, memo, messages) name it wherever they are encoded and decoded. Those of a child and
/// those of a signal to another workflow name that one, not the sender.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SerializationContext {
    /// The namespace of the client.
    pub namespace: String,
    /// The workflow's id. `None` only where an activity is completed by its token alone, which does not show the workflow.
    pub workflow_id: Option<String>,
    /// The type's name of the activity whose input is encoded or decoded, or whose result, failure or heartbeat its worker encodes.
    /// `None` for all other payloads, also where a workflow decodes a result: the type is not known there in each case.
    pub activity_type: Option<String>,
    /// The id of that activity.
    pub activity_id: Option<String>,
}

impl SerializationContext {
    pub(crate) fn of_workflow(namespace: &str, workflow_id: &str) -> Self {
        Self { namespace: namespace.to_owned(), workflow_id: Some(workflow_id.to_owned()), ..Default::default() }
    }
}
