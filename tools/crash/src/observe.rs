//! Reads the state of an engine: its lists, and each workflow's description and history.

use std::collections::BTreeMap;
use std::time::Duration;

use everloop_proto::temporal::api::enums::v1::{PendingWorkflowTaskState, WorkflowExecutionStatus as Status};
use everloop_proto::temporal::api::history::v1::HistoryEvent;
use everloop_proto::temporal::api::workflow::v1::WorkflowExecutionInfo;
use everloop_proto::temporal::api::workflowservice::v1 as wire;
use prost_types::Timestamp;

use crate::Error;
use crate::calls::{NAMESPACE, Service, execution, within};

const CALL: Duration = Duration::from_secs(30);

/// How often to read a run again that changed while it was read.
const READS_MAX: usize = 50;

/// The state of an engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) rows: Vec<Row>,
    /// The engine's own counts.
    pub(crate) counts: BTreeMap<String, i64>,
    /// The runs that were read, by workflow id.
    pub(crate) runs: BTreeMap<String, SeenRun>,
}

/// A run as listed or described.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) workflow_id: String,
    pub(crate) run_id: String,
    pub(crate) status: Status,
    pub(crate) close_time: Option<Timestamp>,
    /// Known for open runs only; lists do not contain it.
    pub(crate) history_length: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct SeenRun {
    pub(crate) described: Row,
    /// A worker has a task, or had one when it died: later events are not in the history yet.
    pub(crate) has_started_task: bool,
    pub(crate) events: Vec<HistoryEvent>,
}

impl Row {
    fn of(info: WorkflowExecutionInfo) -> Self {
        let (status, close_time, history_length) = (info.status(), info.close_time, info.history_length);
        let execution = info.execution.unwrap_or_default();
        Self { workflow_id: execution.workflow_id, run_id: execution.run_id, status, close_time, history_length }
    }
}

/// Reads the whole state, but only the row of each run in `known`.
pub(crate) async fn observe(service: &mut Service, known: impl Fn(&Row) -> bool) -> Result<Seen, Error> {
    let mut seen = Seen { rows: list(service).await?, counts: count(service).await?, runs: BTreeMap::new() };
    for row in seen.rows.iter().filter(|row| !known(row)) {
        seen.runs.insert(row.workflow_id.clone(), read_run(service, &row.workflow_id).await?);
    }
    Ok(seen)
}

/// Number of open workflows.
pub(crate) async fn count_open(service: &mut Service) -> Result<i64, Error> {
    Ok(count(service).await?.get("Running").copied().unwrap_or(0))
}

async fn list(service: &mut Service) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    let mut next_page_token = bytes::Bytes::new();
    loop {
        let request = wire::ListWorkflowExecutionsRequest {
            namespace: NAMESPACE.to_owned(),
            next_page_token,
            ..Default::default()
        };
        let page = service.list_workflow_executions(within(CALL, request)).await?.into_inner();
        rows.extend(page.executions.into_iter().map(Row::of));
        next_page_token = page.next_page_token;
        if next_page_token.is_empty() {
            return Ok(rows);
        }
    }
}

async fn count(service: &mut Service) -> Result<BTreeMap<String, i64>, Error> {
    let request = wire::CountWorkflowExecutionsRequest {
        namespace: NAMESPACE.to_owned(),
        query: "GROUP BY ExecutionStatus".to_owned(),
    };
    let reply = service.count_workflow_executions(within(CALL, request)).await?.into_inner();
    let of_group = |group: wire::count_workflow_executions_response::AggregationGroup| {
        let status = group.group_values.first().and_then(|value| serde_json::from_slice(&value.data).ok());
        (status.unwrap_or_default(), group.count)
    };
    Ok(reply.groups.into_iter().map(of_group).collect())
}

async fn read_run(service: &mut Service, workflow_id: &str) -> Result<SeenRun, Error> {
    for _ in 0..READS_MAX {
        let (described, has_started_task) = describe(service, workflow_id).await?;
        let mut events = history(service, workflow_id).await?;
        // A timer may have fired between the two reads.
        if describe(service, workflow_id).await? == (described.clone(), has_started_task) {
            // Later attempts of a task have no events; the engine makes up the end of the history for readers.
            events.truncate(usize::try_from(described.history_length)?);
            return Ok(SeenRun { described, has_started_task, events });
        }
    }
    Err(format!("{workflow_id} does not come to rest, though no worker works").into())
}

async fn describe(service: &mut Service, workflow_id: &str) -> Result<(Row, bool), Error> {
    let request =
        wire::DescribeWorkflowExecutionRequest { namespace: NAMESPACE.to_owned(), execution: execution(workflow_id) };
    let reply = service.describe_workflow_execution(within(CALL, request)).await?.into_inner();
    let info = reply.workflow_execution_info.ok_or("a description without a run")?;
    let has_started = reply.pending_workflow_task.is_some_and(|it| it.state() == PendingWorkflowTaskState::Started);
    Ok((Row::of(info), has_started))
}

async fn history(service: &mut Service, workflow_id: &str) -> Result<Vec<HistoryEvent>, Error> {
    let mut events = Vec::new();
    let mut next_page_token = bytes::Bytes::new();
    loop {
        let request = wire::GetWorkflowExecutionHistoryRequest {
            namespace: NAMESPACE.to_owned(),
            execution: execution(workflow_id),
            next_page_token,
            ..Default::default()
        };
        let page = service.get_workflow_execution_history(within(CALL, request)).await?.into_inner();
        events.extend(page.history.unwrap_or_default().events);
        next_page_token = page.next_page_token;
        if next_page_token.is_empty() {
            return Ok(events);
        }
    }
}
