//! `everloop workflow show`.

use std::io::Write;

use everloop_proto::temporal::api::common::v1::WorkflowExecution;
use everloop_proto::temporal::api::history::v1::History;
use everloop_proto::timeline::Timeline;

use super::connection::Connection;
use super::describe::still_pending;
use super::error::CommandError;
use super::history::{HistoryPages, next_run, outcome};
use super::print::table::facts;
use super::print::{json, text};
use crate::arguments::workflow::{OutputFormat, Show};

pub(super) async fn show(
    server: &Connection,
    show: Show,
    output: OutputFormat,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let execution = WorkflowExecution::from(show.execution);
    match output {
        OutputFormat::Json => {
            let mut pages = HistoryPages::new(server, execution, show.follow);
            let mut history = History::default();
            while let Some(events) = pages.next().await? {
                history.events.extend(events);
            }
            json::write_whole(&history, out)
        }
        OutputFormat::Text => {
            let mut next = show_run(server, execution, show.follow, out).await?;
            while let Some(execution) = next.filter(|_| show.follow) {
                writeln!(out)?;
                next = show_run(server, execution, show.follow, out).await?;
            }
            Ok(())
        }
    }
}

/// Prints the history of one run. Returns the run that follows it.
async fn show_run(
    server: &Connection,
    execution: WorkflowExecution,
    follow: bool,
    out: &mut impl Write,
) -> Result<Option<WorkflowExecution>, CommandError> {
    let mut pages = HistoryPages::new(server, execution.clone(), follow);
    let mut timeline = Timeline::default();
    let mut last = None;
    while let Some(events) = pages.next().await? {
        for event in &events {
            writeln!(out, "{}", timeline.line(event, text::failure))?;
        }
        // A user who follows the history sees each event at once.
        out.flush()?;
        last = events.into_iter().next_back().or(last);
    }
    writeln!(out)?;
    match last.as_ref().and_then(outcome) {
        Some(outcome) => facts(&outcome, out)?,
        None => {
            facts(&[("Status", "Running".to_owned())], out)?;
            still_pending(server, execution.clone(), out).await?;
        }
    }
    Ok(last.as_ref().and_then(next_run).map(|run_id| WorkflowExecution { run_id, ..execution }))
}
