//! Why a filter is rejected.

use super::schema::Schema;

/// A filter that is rejected: what is wrong with its text, and what is supported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid query: {0}")]
pub(crate) struct InvalidQuery(String);

impl InvalidQuery {
    pub(super) fn new(problem: &Problem, schema: &Schema) -> Self {
        let supported = match problem {
            Problem::Unsupported { .. } | Problem::Unexpected { .. } | Problem::UnknownAttribute { .. } => {
                format!("; supported are {OPERATORS} over {}", schema.names())
            }
            _ => String::new(),
        };
        Self(format!("{problem}{supported}"))
    }
}

const OPERATORS: &str = "=, !=, <, <=, >, >=, IN, BETWEEN, STARTS_WITH, AND, OR and parentheses";

/// A problem in the text of a filter. Offsets are bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("{bytes} bytes are too long, at most {bytes_max} are allowed")]
    TooLong { bytes: usize, bytes_max: usize },
    #[error("parentheses nest deeper than {depth_max}")]
    TooDeep { depth_max: usize },
    #[error("the quote at {offset} is not closed")]
    UnclosedQuote { offset: usize },
    #[error("`{token}` at {offset} is not supported")]
    Unsupported { token: String, offset: usize },
    #[error("found `{token}` at {offset}, expected {expected}")]
    Unexpected { token: String, offset: usize, expected: &'static str },
    #[error("it ends where {expected} is expected")]
    UnexpectedEnd { expected: &'static str },
    #[error("invalid search attribute: {name}")]
    UnknownAttribute { name: String },
    #[error("operator `{operator}` is not supported for {attribute}")]
    Operator { operator: String, attribute: String },
    #[error("{value} is not a value of {attribute}, which is {expected}")]
    Value { value: String, attribute: String, expected: &'static str },
    #[error("GROUP BY {name} is not supported, only GROUP BY ExecutionStatus is")]
    Grouping { name: String },
}
