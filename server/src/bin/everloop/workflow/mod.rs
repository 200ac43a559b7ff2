//! `everloop workflow`: shows the workflows of a server, to people and to scripts.
//!
//! All commands use the protocol, so they work with any server that speaks it. Each command has its own module;
//! [`print`] formats the output.

pub(crate) mod address;
mod close;
mod connection;
mod count;
mod describe;
mod error;
mod history;
mod list;
mod message;
mod place;
mod print;
mod show;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::io::{self, ErrorKind, Write};

use self::connection::{CommandTarget, Connection};
use self::error::CommandError;
use crate::arguments::workflow::{WorkflowArguments, WorkflowCommand};

/// Runs the command and prints its result.
pub(crate) fn run(arguments: WorkflowArguments) -> Result<(), Box<dyn Error>> {
    let target = CommandTarget::new(&arguments.server, &std::env::vars().collect())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(execute(arguments, target, &mut io::stdout().lock())) {
        // The reader of the output has ended, for instance `head`.
        Err(CommandError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// The part of a command that a file alone cannot serve.
fn beyond_a_file(command: &WorkflowCommand) -> Option<&'static str> {
    match command {
        WorkflowCommand::List(_) | WorkflowCommand::Count(_) | WorkflowCommand::Describe(_) => None,
        WorkflowCommand::Show(show) => show.follow.then_some("follow a history"),
        WorkflowCommand::Query(_) => Some("query a workflow, which a worker answers"),
        WorkflowCommand::Signal(_) => Some("send a signal"),
        WorkflowCommand::Cancel(_) => Some("cancel a workflow"),
        WorkflowCommand::Terminate(_) => Some("terminate a workflow"),
    }
}

async fn execute(
    arguments: WorkflowArguments,
    target: CommandTarget,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let server = Connection::open(target).await?;
    let output = arguments.output;
    if let Some(what) = beyond_a_file(&arguments.command) {
        server.check_can(what)?;
    }
    match arguments.command {
        WorkflowCommand::List(list) => list::list(&server, list, output, out).await?,
        WorkflowCommand::Count(count) => count::count(&server, count, output, out).await?,
        WorkflowCommand::Describe(execution) => describe::describe(&server, execution, output, out).await?,
        WorkflowCommand::Show(show) => show::show(&server, show, output, out).await?,
        WorkflowCommand::Signal(message) => message::signal(&server, message, output, out).await?,
        WorkflowCommand::Query(message) => message::query(&server, message, output, out).await?,
        WorkflowCommand::Cancel(close) => close::cancel(&server, close, output, out).await?,
        WorkflowCommand::Terminate(close) => close::terminate(&server, close, output, out).await?,
    }
    Ok(out.flush()?)
}
