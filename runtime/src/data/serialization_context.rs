//! The owner of a payload.

/// The workflow and the activity of a payload. A codec may choose its key by them.
///
/// The context of a workflow's payloads (inputs, results, memo, messages) has that workflow, wherever they are encoded and
/// decoded. The context of payloads to a child or of a signal to another workflow has the receiver, not the sender.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SerializationContext {
    /// The namespace of the client.
    pub namespace: String,
    /// The workflow's id. `None` only if an activity is completed by its token, from which the workflow is not known.
    pub workflow_id: Option<String>,
    /// The type's name of the activity whose input is encoded or decoded, or whose result, failure or heartbeat its worker encodes.
    /// `None` for all other payloads, including results that a workflow decodes, because the type is not always known there.
    pub activity_type: Option<String>,
    /// The activity's id.
    pub activity_id: Option<String>,
}

impl SerializationContext {
    pub(crate) fn of_workflow(namespace: &str, workflow_id: &str) -> Self {
        Self { namespace: namespace.to_owned(), workflow_id: Some(workflow_id.to_owned()), ..Default::default() }
    }
}
