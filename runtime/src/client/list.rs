//! Lists and counts of workflows.

use std::collections::VecDeque;

use everloop_proto::temporal::api::workflow::v1::WorkflowExecutionInfo;
use everloop_proto::temporal::api::workflowservice::v1::{
    CountWorkflowExecutionsRequest, ListWorkflowExecutionsRequest,
};

use super::client::Client;
use super::error::{ListError, RpcCode, RpcError};
use super::interceptor::{ClientCallError, ClientOperation};
use super::summary::WorkflowSummary;

impl Client {
    /// Lists the workflows that match a filter, such as `WorkflowType = 'OneClickBuy' AND ExecutionStatus = 'Running'`. An empty
    /// filter matches all. The latest start comes first.
    pub fn list_workflows(&self, filter: impl Into<String>) -> WorkflowList {
        WorkflowList::new(self.clone(), filter.into())
    }

    /// Counts the workflows that match a filter.
    pub async fn count_workflows(&self, filter: impl Into<String>) -> Result<u64, ListError> {
        let query = filter.into();
        let request = CountWorkflowExecutionsRequest { namespace: self.namespace().to_owned(), query: query.clone() };
        match self.intercepted_rpc(ClientOperation::Count { filter: query.clone() }, request).await {
            Ok(counted) => Ok(counted.count.try_into().unwrap_or_default()),
            Err(error) => Err(error.into_error(|error| list_error(&query, error))),
        }
    }
}

/// The workflows that match a filter; the list fetches them in pages.
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

    /// Sets the number of workflows in a page; by default the server decides.
    pub fn page_size(mut self, size: u16) -> Self {
        self.request.page_size = size.into();
        self
    }

    /// Returns the next workflow; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<WorkflowSummary>, ListError> {
        loop {
            if let Some(info) = self.page.pop_front() {
                return Ok(Some(WorkflowSummary::new(info)));
            }
            if self.is_last {
                return Ok(None);
            }
            let operation = ClientOperation::List { filter: self.request.query.clone() };
            let reply = self.client.intercepted_rpc(operation, self.request.clone()).await;
            let refused = |error: ClientCallError| error.into_error(|error| list_error(&self.request.query, error));
            let mut reply = reply.map_err(refused)?;
            self.client.decode(&mut reply.executions).await?;
            self.page = reply.executions.into();
            self.is_last = reply.next_page_token.is_empty();
            self.request.next_page_token = reply.next_page_token;
        }
    }

    /// Returns all remaining workflows.
    pub async fn all(mut self) -> Result<Vec<WorkflowSummary>, ListError> {
        let mut all = Vec::new();
        while let Some(workflow) = self.next().await? {
            all.push(workflow);
        }
        Ok(all)
    }
}

fn list_error(filter: &str, error: RpcError) -> ListError {
    match error.code {
        RpcCode::InvalidArgument => ListError::Filter { filter: filter.to_owned(), message: error.message },
        _ => ListError::Rpc(error),
    }
}
