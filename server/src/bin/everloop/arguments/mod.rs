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
    /// Look at the workflows of a server, and talk to them.
    Workflow(WorkflowArguments),
    /// Copy a database, also while a server or another program has it open.
    Backup(BackupArguments),
}

#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The database: the file that `server start-dev --db-filename` or a `sqlite:` address names.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) db_filename: PathBuf,
    /// The copy to make.
    pub(crate) file: PathBuf,
}

/// What the program is to do.
#[derive(Debug)]
pub(crate) enum Task {
    Serve(Settings),
    Workflow(WorkflowArguments),
    Backup(BackupArguments),
}

impl Arguments {
    /// The command line that the program was started with. A mistake in it ends the program, with what to write.
    pub(crate) fn of_program() -> Self {
        Self::read(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// A first word that is neither a command nor a number is a command that does not exist, though the test server takes a port
    /// in its place.
    pub(crate) fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let line: Vec<_> = line.into_iter().collect();
        let first = line.get(1).map(|first| first.to_string_lossy().into_owned()).unwrap_or_default();
        let mut command = Self::command();
        // It adds `help`.
        command.build();
        let is_command = command.get_subcommands().any(|known| known.get_name() == first);
        if is_command || first.is_empty() || first.starts_with('-') || first.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::try_parse_from(line);
        }
        let known: Vec<_> = command.get_subcommands().map(|known| format!("`{}`", known.get_name())).collect();
        let message = format!("there is no command `{first}`; there are {}", known.join(", "));
        Err(command.error(ErrorKind::InvalidSubcommand, message))
    }

    pub(crate) fn task(self) -> Task {
        match (self.program, self.test_server) {
            (Some(Program::Server(server)), _) => Task::Serve(server.settings()),
            (Some(Program::Workflow(arguments)), _) => Task::Workflow(arguments),
            (Some(Program::Backup(arguments)), _) => Task::Backup(arguments),
            (None, Some(test_server)) => Task::Serve(test_server.settings()),
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
    fn a_command_that_does_not_exist_is_no_port() {
        let refused = refusal(&["everloop", "workflows", "list"]);
        let message = "there is no command `workflows`; there are `server`, `workflow`, `backup`, `help`";
        assert!(refused.contains(message) && !refused.to_lowercase().contains("invalid value"), "{refused}");
        let unknown = refusal(&["everloop", "workflow", "list-all"]);
        assert!(unknown.contains("unrecognized subcommand 'list-all'"), "{unknown}");
        // A port is the test server's.
        assert!(refusal(&["everloop", "70000"]).contains("70000 is not in 0..=65535"));
        let test_server = Arguments::read(["everloop", "7233"].map(OsString::from)).unwrap().task();
        assert!(matches!(test_server, Task::Serve(settings) if settings.address.port() == 7233));
    }
}
