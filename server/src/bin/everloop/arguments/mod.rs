//! The command line.

pub(crate) mod server;
pub(crate) mod workflow;

use clap::{Parser, Subcommand};

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
}

/// What the program is to do.
#[derive(Debug)]
pub(crate) enum Task {
    Serve(Settings),
    Workflow(WorkflowArguments),
}

impl Arguments {
    pub(crate) fn task(self) -> Task {
        match (self.program, self.test_server) {
            (Some(Program::Server(server)), _) => Task::Serve(server.settings()),
            (Some(Program::Workflow(arguments)), _) => Task::Workflow(arguments),
            (None, Some(test_server)) => Task::Serve(test_server.settings()),
            (None, None) => unreachable!("no arguments at all show the help"),
        }
    }
}
