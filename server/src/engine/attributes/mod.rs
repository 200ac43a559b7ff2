//! The search attributes of one run.
//!
//! A value is a JSON payload whose `type` names the type of the attribute, as in every message of the protocol.

pub(super) mod state;

use bytes::Bytes;

use self::state::{SearchAttribute, TYPE};
use crate::api::command::UpsertWorkflowSearchAttributesCommandAttributes;
use crate::api::command::command::Attributes as CommandAttributes;
use crate::api::common::{Payload, SearchAttributes};
use crate::api::enums::{CommandType, WorkflowTaskFailedCause as Cause};
use crate::api::history::UpsertWorkflowSearchAttributesEventAttributes;
use crate::engine::commands::Commands;
use crate::engine::error::Rejected;
use crate::engine::event::{Attributes, EventId, Order};
use crate::engine::run::Run;
use crate::engine::subject::{Applied, Subject};
use crate::engine::time::Time;
use crate::limits::SEARCH_ATTRIBUTE_BYTES_MAX;
use crate::model::CHANGE_VERSION;

/// The value in a visibility row.
const VALUE: &str = "value";

/// The only type that a workflow can set: a list of texts.
const KEYWORD_LIST: &str = "KeywordList";

/// The rules of search attributes.
pub(super) struct AttributeRules;

impl Subject for AttributeRules {
    const COMMANDS: &'static [(CommandType, Cause)] =
        &[(CommandType::UpsertWorkflowSearchAttributes, Cause::BadSearchAttributes)];

    fn command(
        run: &mut Run,
        command: CommandAttributes,
        commands: &mut Commands,
    ) -> Result<Result<(), Rejected>, CommandAttributes> {
        match command {
            CommandAttributes::UpsertWorkflowSearchAttributesCommandAttributes(it) => {
                Ok(run.upsert_search_attributes(it, commands))
            }
            other => Err(other),
        }
    }

    fn order(event: &Attributes) -> Option<Order> {
        matches!(event, Attributes::UpsertWorkflowSearchAttributesEventAttributes(_)).then_some(Order::Now)
    }

    fn apply(run: &mut Run, _: EventId, _: Time, event: &Attributes) -> Option<Applied> {
        let Attributes::UpsertWorkflowSearchAttributesEventAttributes(upserted) = event else { return None };
        run.touch_visibility();
        run.set_search_attributes(upserted.search_attributes.as_ref());
        Some(Ok(()))
    }
}

impl Run {
    fn upsert_search_attributes(
        &mut self,
        attributes: UpsertWorkflowSearchAttributesCommandAttributes,
        commands: &mut Commands,
    ) -> Result<(), Rejected> {
        let Some(mut upserted) = attributes.search_attributes.filter(|upserted| !upserted.indexed_fields.is_empty())
        else {
            return Err(Rejected::new(
                Cause::BadSearchAttributes,
                "SearchAttributes is not set on UpsertWorkflowSearchAttributesCommand.",
            ));
        };
        check_all(&mut upserted)?;
        let event = commands.event(UpsertWorkflowSearchAttributesEventAttributes {
            workflow_task_completed_event_id: commands.completed_event_id,
            search_attributes: Some(upserted),
        });
        self.append_event(event);
        Ok(())
    }

    /// Sets attributes; those with null or an empty list are removed.
    pub(super) fn set_search_attributes(&mut self, attributes: Option<&SearchAttributes>) {
        for (name, payload) in attributes.iter().flat_map(|attributes| &attributes.indexed_fields) {
            let is_set = keywords(payload).is_some_and(|keywords| !keywords.is_empty());
            match SearchAttribute::of(payload).filter(|_| is_set) {
                Some(attribute) => self.state.search_attributes.insert(name.clone(), attribute),
                None => self.state.search_attributes.remove(name),
            };
        }
    }

    /// The search attributes as the visibility row has them: see
    /// [`VisibilityRow::search_attributes`](crate::model::VisibilityRow::search_attributes).
    pub(super) fn stored_search_attributes(&self) -> Option<String> {
        let stored = self.state.search_attributes.iter().map(|(name, SearchAttribute { kind, value })| {
            (name.clone(), serde_json::json!({ TYPE: kind, VALUE: value }))
        });
        let stored: serde_json::Map<_, _> = stored.collect();
        (!stored.is_empty()).then(|| serde_json::Value::Object(stored).to_string())
    }
}

/// Reads the search attributes of a visibility row.
///
/// # Errors
///
/// Returns how the text differs from what [`Run::stored_search_attributes`] returns.
pub(super) fn read_stored(stored: &str) -> Result<SearchAttributes, String> {
    let stored: serde_json::Map<_, _> = serde_json::from_str(stored).map_err(|error| error.to_string())?;
    let attributes = stored.into_iter().map(|(name, stored)| {
        let (Some(kind), Some(value)) = (stored[TYPE].as_str(), stored.get(VALUE)) else {
            return Err(format!("{name} has no type or no value"));
        };
        let metadata = [("encoding", Bytes::from_static(b"json/plain")), (TYPE, kind.to_owned().into())];
        let metadata = metadata.map(|(name, value)| (name.to_owned(), value)).into();
        Ok((name, Payload { metadata, data: value.to_string().into(), ..Payload::default() }))
    });
    Ok(SearchAttributes { indexed_fields: attributes.collect::<Result<_, _>>()? })
}

/// Checks the attributes that a workflow sets, and adds the types of their values.
pub(super) fn check_all(attributes: &mut SearchAttributes) -> Result<(), Rejected> {
    for (name, value) in &mut attributes.indexed_fields {
        check(name, value)?;
        value.metadata.insert(TYPE.to_owned(), Bytes::from_static(KEYWORD_LIST.as_bytes()));
    }
    Ok(())
}

/// Whether a workflow may set this attribute to this value.
fn check(name: &str, value: &Payload) -> Result<(), Rejected> {
    let refused = |detail: String| Rejected::new(Cause::BadSearchAttributes, detail);
    if name != CHANGE_VERSION {
        return Err(refused(format!("search attribute {name} is not defined")));
    }
    if value.data.len() > SEARCH_ATTRIBUTE_BYTES_MAX {
        let (size, limit) = (value.data.len(), SEARCH_ATTRIBUTE_BYTES_MAX);
        let detail = format!("search attribute {name} value size {size} exceeds size limit {limit}");
        return Err(refused(detail).terminating());
    }
    if keywords(value).is_none() {
        let value = String::from_utf8_lossy(&value.data);
        return Err(refused(format!("invalid value for search attribute {name} of type {KEYWORD_LIST}: {value}")));
    }
    Ok(())
}

/// The members of a list of texts. Null is an empty list; as a member, null is no text.
fn keywords(value: &Payload) -> Option<Vec<Option<String>>> {
    serde_json::from_slice::<Option<_>>(&value.data).ok().map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(json: &str) -> Payload {
        Payload { data: json.to_owned().into(), ..Payload::default() }
    }

    #[test]
    fn lists_of_texts_are_values_and_nothing_else() {
        assert!(
            check(CHANGE_VERSION, &list(r#"["a", "b", null]"#)).is_ok() && check(CHANGE_VERSION, &list("null")).is_ok()
        );
        for wrong in ["\"a\"", "7", "[7]", "{}", "", "a"] {
            let rejected = check(CHANGE_VERSION, &list(wrong)).unwrap_err();
            assert_eq!(rejected.cause, Cause::BadSearchAttributes, "{wrong}");
        }
        assert!(check("Customer", &list("[]")).is_err());
    }

    #[test]
    fn a_damaged_row_is_named() {
        assert_eq!(read_stored(r#"{"A":{"type":"KeywordList","value":["a"]}}"#).unwrap().indexed_fields.len(), 1);
        for damaged in ["", "[]", r#"{"A":{"type":"KeywordList"}}"#, r#"{"A":["a"]}"#, r#"{"A":7}"#] {
            assert!(read_stored(damaged).is_err(), "{damaged}");
        }
    }
}
