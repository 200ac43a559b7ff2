//! `everloop workflow list`.

use std::io::Write;

use everloop_proto::temporal::api::workflow::v1::WorkflowExecutionInfo;
use everloop_proto::temporal::api::workflowservice::v1::ListWorkflowExecutionsRequest;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;

use super::connection::Connection;
use super::error::CommandError;
use super::print::table::Table;
use super::print::{json, text};
use crate::arguments::workflow::{List, OutputFormat};

/// The largest page that servers return.
const PAGE_SIZE_MAX: u64 = 1000;

pub(super) async fn list(
    server: &Connection,
    list: List,
    output: OutputFormat,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let mut printer = Printer { output, printed: 0, table: Table::new("") };
    let mut left = list.limit.unwrap_or(u64::MAX);
    let mut request = ListWorkflowExecutionsRequest {
        namespace: server.namespace(),
        page_size: page_size(&list),
        query: list.query,
        ..Default::default()
    };
    loop {
        let page = server.call(request.clone(), WorkflowServiceClient::list_workflow_executions).await?;
        let mut runs = page.executions;
        runs.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= runs.len() as u64;
        printer.print(&runs, out)?;
        request.next_page_token = page.next_page_token;
        if left == 0 || request.next_page_token.is_empty() {
            return printer.finish(out);
        }
    }
}

/// The number of runs that are still needed; 0 leaves the size to the server.
fn page_size(list: &List) -> i32 {
    let sizes = list.page_size.map(u64::from).into_iter().chain(list.limit);
    sizes.min().filter(|size| *size <= PAGE_SIZE_MAX).map_or(0, |size| size as i32)
}

struct Printer {
    output: OutputFormat,
    printed: usize,
    table: Table<5>,
}

impl Printer {
    fn print(&mut self, runs: &[WorkflowExecutionInfo], out: &mut impl Write) -> Result<(), CommandError> {
        match self.output {
            OutputFormat::Text => {
                let is_first = self.printed == 0 && !runs.is_empty();
                let head = is_first.then(|| ["Status", "WorkflowId", "Type", "StartTime", "RunId"].map(str::to_owned));
                let rows: Vec<_> = head.into_iter().chain(runs.iter().map(row)).collect();
                self.table.print(&rows, out)?;
            }
            OutputFormat::Json => {
                for (index, run) in runs.iter().enumerate() {
                    write!(out, "{}", if self.printed + index == 0 { "[\n" } else { ",\n" })?;
                    serde_json::to_writer_pretty(&mut *out, &json::value(run)?)?;
                }
            }
        }
        self.printed += runs.len();
        Ok(())
    }

    fn finish(self, out: &mut impl Write) -> Result<(), CommandError> {
        match (self.output, self.printed) {
            (OutputFormat::Text, 0) => writeln!(out, "no workflows")?,
            (OutputFormat::Text, _) => {}
            (OutputFormat::Json, 0) => writeln!(out, "[]")?,
            (OutputFormat::Json, _) => writeln!(out, "\n]")?,
        }
        Ok(())
    }
}

fn row(run: &WorkflowExecutionInfo) -> [String; 5] {
    let execution = run.execution.clone().unwrap_or_default();
    let kind = run.r#type.as_ref().map(|kind| kind.name.clone()).unwrap_or_default();
    [text::status(run.status), execution.workflow_id, kind, text::time(run.start_time), execution.run_id]
}
