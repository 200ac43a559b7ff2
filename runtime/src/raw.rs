//! The protocol's own types, for requests that the typed interface does not cover.

pub use everloop_proto::temporal::api::common::v1::{
    ActivityType, Header, Memo, Payload, Payloads, RetryPolicy, SearchAttributes, WorkflowExecution, WorkflowType,
};
pub use everloop_proto::temporal::api::history::v1::{History, HistoryEvent};
pub use everloop_proto::temporal::api::taskqueue::v1::TaskQueue;
