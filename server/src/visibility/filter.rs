//! The typed tree of a filter.

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
    Compare { attribute: Attribute, operator: Operator, value: Value },
    Between { attribute: Attribute, from: Value, to: Value },
    In { attribute: Attribute, values: Vec<Value> },
    StartsWith { attribute: Attribute, prefix: String },
}

/// How a count is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    None,
    ByStatus,
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

impl Attribute {
    pub(super) const ALL: [Self; 8] = [
        Self::WorkflowId,
        Self::RunId,
        Self::WorkflowType,
        Self::TaskQueue,
        Self::ExecutionStatus,
        Self::StartTime,
        Self::ExecutionTime,
        Self::CloseTime,
    ];

    /// Names are case-sensitive.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| attribute.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::WorkflowId => "WorkflowId",
            Self::RunId => "RunId",
            Self::WorkflowType => "WorkflowType",
            Self::TaskQueue => "TaskQueue",
            Self::ExecutionStatus => "ExecutionStatus",
            Self::StartTime => "StartTime",
            Self::ExecutionTime => "ExecutionTime",
            Self::CloseTime => "CloseTime",
        }
    }

    pub(super) fn is_time(self) -> bool {
        matches!(self, Self::StartTime | Self::ExecutionTime | Self::CloseTime)
    }

    /// What its values are, for messages.
    pub(super) fn expected_value(self) -> &'static str {
        match self {
            Self::WorkflowId | Self::RunId | Self::WorkflowType | Self::TaskQueue => "a string in quotes",
            Self::ExecutionStatus => {
                "a status: 'Running', 'Completed', 'Failed', 'Canceled', 'Terminated', \
                'ContinuedAsNew', 'TimedOut' or 'Paused', or its number"
            }
            Self::StartTime | Self::ExecutionTime | Self::CloseTime => {
                "a time as in RFC 3339, \
                '2026-01-31T12:00:00Z', or in nanoseconds since 1970"
            }
        }
    }
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
