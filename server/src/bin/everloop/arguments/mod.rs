//! The command line.

pub(crate) mod server;
pub(crate) mod workflow;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use self::server::{Server, Settings, TestServer};
use self::workflow::WorkflowArguments;

/// Durable workflows behind the Temporal protocol.
#[derive(Debug, Parser)]
#[command(name = "everloop", version, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    program: Option<Program>,
    #[command(flatten)]
    test_server: Option<TestServer>,
}

#[derive(Debug, Subcommand)]
enum Program {
    /// Run a server.
    #[command(subcommand)]
    Server(Server),
    /// Show the workflows of a server, and send messages to them.
    Workflow(WorkflowArguments),
    /// Copy a database, even while a server or another program has it open.
    Backup(BackupArguments),
}

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The database: the file that `server start-dev --db-filename` or a `sqlite:` address names.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) db_filename: PathBuf,
    /// The file to create.
    pub(crate) file: PathBuf,
}

/// The command to run.
#[derive(Debug)]
pub(crate) enum ProgramCommand {
    Serve(Settings),
    Workflow(WorkflowArguments),
    Backup(BackupArguments),
}

impl Arguments {
    /// Parses the command line of the program. An error in it ends the program with a message.
    pub(crate) fn of_program() -> Self {
        Self::read(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Parses a command line. A first word that is neither a command nor a number is reported as an unknown command,
    /// although the test server takes a port in that place.
    pub(crate) fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let line: Vec<_> = line.into_iter().collect();
        let first = line.get(1).map(|first| first.to_string_lossy().into_owned()).unwrap_or_default();
        let mut command = Self::command();
        // Adds the `help` command.
        command.build();
        let is_command = command.get_subcommands().any(|known| known.get_name() == first);
        if is_command || first.is_empty() || first.starts_with('-') || first.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::try_parse_from(line);
        }
        let known: Vec<_> = command.get_subcommands().map(|known| format!("`{}`", known.get_name())).collect();
        let message = format!("there is no command `{first}`; there are {}", known.join(", "));
        Err(command.error(ErrorKind::InvalidSubcommand, message))
    }

    pub(crate) fn into_command(self) -> ProgramCommand {
        match (self.program, self.test_server) {
            (Some(Program::Server(server)), _) => ProgramCommand::Serve(server.settings()),
            (Some(Program::Workflow(arguments)), _) => ProgramCommand::Workflow(arguments),
            (Some(Program::Backup(arguments)), _) => ProgramCommand::Backup(arguments),
            (None, Some(test_server)) => ProgramCommand::Serve(test_server.settings()),
            (None, None) => unreachable!("no arguments at all show the help"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &[&str]) -> String {
        Arguments::read(line.iter().map(OsString::from)).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_command_is_not_taken_for_a_port() {
        let refused = refusal(&["everloop", "workflows", "list"]);
        let message = "there is no command `workflows`; there are `server`, `workflow`, `backup`, `help`";
        assert!(refused.contains(message) && !refused.to_lowercase().contains("invalid value"), "{refused}");
        let unknown = refusal(&["everloop", "workflow", "list-all"]);
        assert!(unknown.contains("unrecognized subcommand 'list-all'"), "{unknown}");
        // The port of the test server.
        assert!(refusal(&["everloop", "70000"]).contains("70000 is not in 0..=65535"));
        let test_server = Arguments::read(["everloop", "7233"].map(OsString::from)).unwrap().into_command();
        assert!(matches!(test_server, ProgramCommand::Serve(settings) if settings.address.port() == 7233));
    }
}
