//! The typed tree of a filter.

use std::sync::Arc;

use super::schema::Attribute;
use crate::model::RunStatus;

/// Which runs of a namespace are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Nothing stands for all runs.
    pub(super) condition: Option<Condition>,
}

/// A condition on one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare { attribute: Arc<Attribute>, operator: Operator, value: Value },
    Between { attribute: Arc<Attribute>, from: Value, to: Value },
    In { attribute: Arc<Attribute>, values: Vec<Value> },
    StartsWith { attribute: Arc<Attribute>, prefix: String },
}

/// How a count is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    None,
    ByStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A literal, already of its attribute's type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Text(String),
    Status(RunStatus),
    /// Nanoseconds since the Unix epoch.
    Time(i64),
}
