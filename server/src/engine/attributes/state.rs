//! The state of the search attributes of a run.

use crate::api::common::Payload;

/// The metadata of a value that names its type; also in a visibility row.
pub(super) const TYPE: &str = "type";

/// The value of a search attribute of a run.
#[derive(Clone, Debug)]
pub(crate) struct SearchAttribute {
    pub(super) kind: String,
    pub(super) value: serde_json::Value,
}

impl SearchAttribute {
    /// The value in a payload; `None` if the payload has no type or is not JSON.
    pub(super) fn of(payload: &Payload) -> Option<Self> {
        let kind = String::from_utf8_lossy(payload.metadata.get(TYPE)?).into_owned();
        Some(Self { kind, value: serde_json::from_slice(&payload.data).ok()? })
    }
}
