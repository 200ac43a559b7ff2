//! Why a filter is refused.

/// What is wrong with the text of a filter. Offsets are bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidQuery {
    #[error("invalid query: {bytes} bytes are too long, at most {bytes_max} are allowed")]
    TooLong { bytes: usize, bytes_max: usize },
    #[error("invalid query: parentheses nest deeper than {depth_max}")]
    TooDeep { depth_max: usize },
    #[error("invalid query: the quote at {offset} is not closed")]
    UnclosedQuote { offset: usize },
    #[error("invalid query: `{token}` at {offset} is not supported; supported are {SUPPORTED}")]
    Unsupported { token: String, offset: usize },
    #[error("invalid query: found `{token}` at {offset}, expected {expected}; supported are {SUPPORTED}")]
    Unexpected { token: String, offset: usize, expected: &'static str },
    #[error("invalid query: it ends where {expected} is expected")]
    UnexpectedEnd { expected: &'static str },
    #[error("invalid query: invalid search attribute: {name}; supported are {SUPPORTED}")]
    UnknownAttribute { name: String },
    #[error("invalid query: operator `{operator}` is not supported for {attribute}")]
    Operator { operator: String, attribute: &'static str },
    #[error("invalid query: {value} is not a value of {attribute}, which is {expected}")]
    Value { value: String, attribute: &'static str, expected: &'static str },
    #[error("invalid query: GROUP BY {name} is not supported, only GROUP BY ExecutionStatus is")]
    Grouping { name: String },
}

const SUPPORTED: &str = "=, !=, <, <=, >, >=, IN, BETWEEN, STARTS_WITH, AND, OR and parentheses over WorkflowId, RunId, \
    WorkflowType, TaskQueue, ExecutionStatus, StartTime, ExecutionTime and CloseTime";
