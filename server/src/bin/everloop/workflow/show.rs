//! `everloop workflow show`.

use std::io::Write;

use everloop_proto::temporal::api::common::v1::WorkflowExecution;
use everloop_proto::temporal::api::history::v1::History;
use everloop_proto::timeline::Timeline;

use super::connection::Connection;
use super::describe::still_pending;
use super::error::CommandError;
use super::history::{HistoryPages, outcome};
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
    let mut pages = HistoryPages::new(server, execution.clone(), show.follow);
    match output {
        OutputFormat::Json => {
            let mut history = History::default();
            while let Some(events) = pages.next().await? {
                history.events.extend(events);
            }
            json::write_whole(&history, out)
        }
        OutputFormat::Text => {
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
                    still_pending(server, execution, out).await?;
                }
            }
            Ok(())
        }
    }
}
