//! The command line.

pub(crate) mod server;
pub(crate) mod workflow;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
