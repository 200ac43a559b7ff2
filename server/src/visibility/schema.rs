//! The attributes of runs that filters can name.

use std::sync::{Arc, LazyLock};

use everloop_proto::temporal::api::enums::v1::IndexedValueType;

use crate::model::CHANGE_VERSION;

/// The type of an attribute's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributeType {
    /// A text, compared byte by byte.
    Keyword,
    /// A status of runs. Statuses have no order.
    Status,
    Time,
    /// A list of texts. A comparison is about whether a text is one of them.
    KeywordList,
}

impl AttributeType {
    /// The type in the protocol's words.
    pub(crate) fn indexed(self) -> IndexedValueType {
        match self {
            Self::Keyword | Self::Status => IndexedValueType::Keyword,
            Self::Time => IndexedValueType::Datetime,
            Self::KeywordList => IndexedValueType::KeywordList,
        }
    }

    pub(super) fn has_order(self) -> bool {
        !matches!(self, Self::Status | Self::KeywordList)
    }

    /// A description of its values, for messages.
    pub(super) fn expected_value(self) -> &'static str {
        match self {
            Self::Keyword | Self::KeywordList => "a string in quotes",
            Self::Status => {
                "a status: 'Running', 'Completed', 'Failed', 'Canceled', 'Terminated', \
                'ContinuedAsNew', 'TimedOut' or 'Paused', or its number"
            }
            Self::Time => "a time as in RFC 3339, '2026-01-31T12:00:00Z', or in nanoseconds since 1970",
        }
    }
}

/// An attribute of runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    /// Names are case-sensitive.
    pub(crate) name: String,
    pub(crate) kind: AttributeType,
    /// Its value, as SQL over the store's `run` table. NULL where a run has none, which no comparison matches. Of a
    /// list, the table of its members.
    pub(super) sql: String,
}

/// The attributes that filters can name.
#[derive(Debug)]
pub(crate) struct Schema {
    attributes: Vec<Arc<Attribute>>,
}

/// The attribute by which counts can be grouped.
pub(super) const STATUS: &str = "ExecutionStatus";

/// The attributes that every namespace has.
const BUILT_IN: [(&str, AttributeType, &str); 9] = [
    ("WorkflowId", AttributeType::Keyword, "workflow_id"),
    ("RunId", AttributeType::Keyword, "run_id"),
    ("WorkflowType", AttributeType::Keyword, "workflow_type"),
    ("TaskQueue", AttributeType::Keyword, "task_queue"),
    (STATUS, AttributeType::Status, "status"),
    ("StartTime", AttributeType::Time, "start_time"),
    ("ExecutionTime", AttributeType::Time, "execution_time"),
    // An open run has none.
    ("CloseTime", AttributeType::Time, "nullif(close_time, 9223372036854775807)"),
    (CHANGE_VERSION, AttributeType::KeywordList, "json_each(search_attributes, '$.TemporalChangeVersion.value')"),
];

impl Schema {
    /// The attributes that every namespace has.
    pub(crate) fn built_in() -> &'static Self {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
            let attribute =
                |(name, kind, sql): (&str, _, &str)| Attribute { name: name.to_owned(), kind, sql: sql.to_owned() };
            Schema::new(BUILT_IN.map(attribute))
        });
        &SCHEMA
    }

    pub(super) fn new(attributes: impl IntoIterator<Item = Attribute>) -> Self {
        Self { attributes: attributes.into_iter().map(Arc::new).collect() }
    }

    pub(crate) fn attributes(&self) -> &[Arc<Attribute>] {
        &self.attributes
    }

    pub(super) fn find(&self, name: &str) -> Option<&Arc<Attribute>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// All names, for messages: `A, B and C`.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        match names.split_last() {
            Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
            _ => names.concat(),
        }
    }
}
