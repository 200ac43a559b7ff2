//! Finding workflows.

use std::collections::VecDeque;
use std::time::SystemTime;

use everloop_proto::temporal::api::workflow::v1::WorkflowExecutionInfo;
use everloop_proto::temporal::api::workflowservice::v1::{
    CountWorkflowExecutionsRequest, ListWorkflowExecutionsRequest,
};

use super::description::memo;
use super::error::{ListError, RpcCode, RpcError};
use super::{Client, WorkflowStatus};
use crate::data::Payload;
use crate::raw;

/// One workflow of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowSummary(WorkflowExecutionInfo);

impl WorkflowSummary {
    pub(super) fn new(info: WorkflowExecutionInfo) -> Self {
        Self(info)
    }

    /// The workflow's id.
    pub fn workflow_id(&self) -> &str {
        self.0.execution.as_ref().map(|execution| execution.workflow_id.as_str()).unwrap_or_default()
    }

    /// The run.
    pub fn run_id(&self) -> &str {
        self.0.execution.as_ref().map(|execution| execution.run_id.as_str()).unwrap_or_default()
    }

    /// Its type's name.
    pub fn workflow_type(&self) -> &str {
        self.0.r#type.as_ref().map(|kind| kind.name.as_str()).unwrap_or_default()
    }

    /// Where its tasks are polled.
    pub fn task_queue(&self) -> &str {
        &self.0.task_queue
    }

    /// Whether it runs, or how it ended.
    pub fn status(&self) -> WorkflowStatus {
        WorkflowStatus::from_wire(self.0.status)
    }

    /// When it was started.
    pub fn start_time(&self) -> Option<SystemTime> {
        self.0.start_time.and_then(|time| time.try_into().ok())
    }

    /// When its code began, later than `start_time` if there was a start delay.
    pub fn execution_time(&self) -> Option<SystemTime> {
        self.0.execution_time.and_then(|time| time.try_into().ok())
    }

    /// When it ended.
    pub fn close_time(&self) -> Option<SystemTime> {
        self.0.close_time.and_then(|time| time.try_into().ok())
    }

    /// How many events it has.
    pub fn history_length(&self) -> i64 {
        self.0.history_length
    }

    /// A value of its memo: `None` if there is none of that name, an error if it is of another type.
    pub fn memo<T: Payload>(&self, name: &str) -> Option<Result<T, String>> {
        memo(&self.0.memo, name)
    }

    /// An attribute it can be found by.
    pub fn search_attribute(&self, name: &str) -> Option<&raw::Payload> {
        self.0.search_attributes.as_ref()?.indexed_fields.get(name)
    }
}

/// The workflows that a filter finds, page by page.
pub struct WorkflowList {
    client: Client,
    request: ListWorkflowExecutionsRequest,
    page: VecDeque<WorkflowExecutionInfo>,
    is_last: bool,
}

impl WorkflowList {
    pub(super) fn new(client: Client, filter: String) -> Self {
        let namespace = client.namespace().to_owned();
        let request = ListWorkflowExecutionsRequest { namespace, query: filter, ..Default::default() };
        Self { client, request, page: VecDeque::new(), is_last: false }
    }

    /// How many workflows to fetch at a time; the server decides unless set.
    pub fn page_size(mut self, size: u16) -> Self {
        self.request.page_size = size.into();
        self
    }

    /// The next one; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<WorkflowSummary>, ListError> {
        loop {
            if let Some(info) = self.page.pop_front() {
                return Ok(Some(WorkflowSummary(info)));
            }
            if self.is_last {
                return Ok(None);
            }
            let reply = self.client.connection().call(self.request.clone()).await;
            let mut reply = reply.map_err(|error| list_error(&self.request.query, error))?;
            self.client.decode(&mut reply.executions).await?;
            self.page = reply.executions.into();
            self.is_last = reply.next_page_token.is_empty();
            self.request.next_page_token = reply.next_page_token;
        }
    }

    /// All that are left.
    pub async fn all(mut self) -> Result<Vec<WorkflowSummary>, ListError> {
        let mut all = Vec::new();
        while let Some(workflow) = self.next().await? {
            all.push(workflow);
        }
        Ok(all)
    }
}

pub(super) async fn count(client: &Client, filter: String) -> Result<u64, ListError> {
    let request = CountWorkflowExecutionsRequest { namespace: client.namespace().to_owned(), query: filter.clone() };
    match client.connection().call(request).await {
        Ok(counted) => Ok(counted.count.try_into().unwrap_or_default()),
        Err(error) => Err(list_error(&filter, error)),
    }
}

fn list_error(filter: &str, error: RpcError) -> ListError {
    match error.code {
        RpcCode::InvalidArgument => ListError::Filter { filter: filter.to_owned(), message: error.message },
        _ => ListError::Rpc(error),
    }
}
