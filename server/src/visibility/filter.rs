//! The typed tree of a filter.

use super::RunStatus;

/// Which runs of a namespace are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Nothing stands for all runs.
    pub(super) condition: Option<Condition>,
}

impl Filter {
    /// Every run.
    pub(crate) const ALL: Self = Self { condition: None };
}

/// A condition on one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare { attribute: Attribute, operator: Operator, value: Value },
    Between { attribute: Attribute, from: Value, to: Value },
    In { attribute: Attribute, values: Vec<Value> },
    StartsWith { attribute: Attribute, prefix: String },
}

/// What a filter can ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    WorkflowId,
    RunId,
    WorkflowType,
    TaskQueue,
    ExecutionStatus,
    StartTime,
    ExecutionTime,
    CloseTime,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Status(RunStatus),
    /// Nanoseconds since the Unix epoch.
    Time(i64),
}
