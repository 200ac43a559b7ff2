//! The commands about workflows, with the flags of the Temporal CLI.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::error::Category;

use crate::workflow::address::Address;

/// `everloop workflow …`
#[derive(Debug, Args)]
pub(crate) struct WorkflowArguments {
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    /// The output format; `json` is the protocol's JSON.
    #[arg(short, long, global = true, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
    #[command(subcommand)]
    pub(crate) command: WorkflowCommand,
}

#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    /// The address of the server, HOST:PORT; default: TEMPORAL_ADDRESS or 127.0.0.1:7233.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) address: Option<Address>,
    /// Read a database instead, even while a program or server has it open: list, count, describe and show.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "address")]
    pub(crate) db_filename: Option<PathBuf>,
    /// The namespace of the workflows; default: TEMPORAL_NAMESPACE or `default`.
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowCommand {
    /// List workflows, open ones first.
    List(List),
    /// Count workflows.
    Count(CountArguments),
    /// Describe a workflow.
    Describe(Execution),
    /// Show a workflow's history; its JSON can be imported elsewhere.
    Show(Show),
    /// Send a signal to a workflow.
    Signal(Message),
    /// Query a workflow, open or closed; a worker answers.
    Query(Message),
    /// Request cancellation of a workflow.
    Cancel(CloseArguments),
    /// Terminate a workflow without running its code.
    Terminate(CloseArguments),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// A filter like `ExecutionStatus = "Running" AND WorkflowType = "OneClickBuy"`.
    #[arg(short, long, default_value = "", hide_default_value = true, value_name = "FILTER")]
    pub(crate) query: String,
    /// The maximum number of workflows to show.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,
    /// The number of workflows per request.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) page_size: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct CountArguments {
    /// A filter as for `list`, which may end with `GROUP BY ExecutionStatus`.
    #[arg(short, long, default_value = "", hide_default_value = true, value_name = "FILTER")]
    pub(crate) query: String,
}

/// Selects a run.
#[derive(Clone, Debug, Args)]
pub(crate) struct Execution {
    /// The workflow's id.
    #[arg(short, long, value_name = "ID")]
    pub(crate) workflow_id: String,
    /// The id of a run; the latest run by default.
    #[arg(short, long, default_value = "", hide_default_value = true, value_name = "ID")]
    pub(crate) run_id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub(crate) execution: Execution,
    /// Wait for new events until the workflow closes; as text, go on with the runs that follow.
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Message {
    #[command(flatten)]
    pub(crate) execution: Execution,
    /// The name of the signal or query.
    #[arg(long, visible_alias = "type")]
    pub(crate) name: String,
    /// An argument, as JSON; can be given several times.
    #[arg(short, long, value_name = "JSON", value_parser = json, allow_negative_numbers = true)]
    pub(crate) input: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CloseArguments {
    #[command(flatten)]
    pub(crate) execution: Execution,
    /// The reason, for the history.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
}

/// Returns the text if it is JSON.
fn json(text: &str) -> Result<String, String> {
    let Err(error) = serde_json::from_str::<serde_json::Value>(text) else { return Ok(text.to_owned()) };
    // Users forget the quotes that are part of the JSON, or the shell removes them.
    let is_bare = error.classify() == Category::Syntax && !text.starts_with(['{', '[', '"']);
    let hint = if is_bare { format!("; a text needs quotes of its own: '\"{text}\"'") } else { String::new() };
    Err(format!("this is not JSON: {error}{hint}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use expect_test::{Expect, expect};

    use super::*;
    use crate::arguments::{Arguments, ProgramCommand};

    fn parse(arguments: &[&str]) -> Result<WorkflowArguments, clap::Error> {
        let arguments = [&["everloop", "workflow"], arguments].concat();
        Arguments::try_parse_from(arguments).map(|arguments| match arguments.into_command() {
            ProgramCommand::Workflow(arguments) => arguments,
            other => panic!("{other:?}"),
        })
    }

    fn check_refusal(arguments: &[&str], expected: Expect) {
        let error = parse(arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        // Every message ends with instructions for help.
        expected.assert_eq(error.to_string().split("\n\nUsage").next().unwrap_or_default().trim_end());
    }

    #[test]
    fn flags_are_those_of_the_temporal_cli() {
        let arguments =
            parse(&["query", "-w", "buy-1", "-r", "run", "--type", "status", "-i", "1", "-i", "-2"]).unwrap();
        let WorkflowCommand::Query(query) = arguments.command else { panic!("{arguments:?}") };
        assert_eq!((query.execution.workflow_id.as_str(), query.execution.run_id.as_str()), ("buy-1", "run"));
        assert_eq!((query.name.as_str(), query.input), ("status", vec!["1".to_owned(), "-2".to_owned()]));

        let arguments = parse(&["terminate", "--workflow-id", "buy-1", "--reason", "sold out"]).unwrap();
        let WorkflowCommand::Terminate(close) = arguments.command else { panic!("{arguments:?}") };
        assert_eq!(close.reason, "sold out");

        let arguments = parse(&["list", "-q", "WorkflowId = 'a'", "--limit", "5"]).unwrap();
        let WorkflowCommand::List(list) = arguments.command else { panic!("{arguments:?}") };
        assert_eq!((list.query.as_str(), list.limit), ("WorkflowId = 'a'", Some(5)));
    }

    #[test]
    fn server_flags_may_precede_or_follow_the_command() {
        let before = parse(&["--address", "shop:7233", "-n", "shop", "-o", "json", "list"]).unwrap();
        let after = parse(&["list", "--address", "shop:7233", "--namespace", "shop", "--output", "json"]).unwrap();
        for arguments in [before, after] {
            assert_eq!(arguments.server.address.unwrap().to_string(), "shop:7233");
            assert_eq!((arguments.server.namespace.as_deref(), arguments.output), (Some("shop"), OutputFormat::Json));
        }
    }

    #[test]
    fn wrong_command_lines_are_usage_errors() {
        check_refusal(
            &["describe"],
            expect![[r#"
            error: the following required arguments were not provided:
              --workflow-id <ID>"#]],
        );
        check_refusal(
            &["list", "--limit", "0"],
            expect![[r#"
            error: invalid value '0' for '--limit <COUNT>': 0 is not in 1..18446744073709551615

            For more information, try '--help'."#]],
        );
        check_refusal(
            &["list", "--address", "shop"],
            expect![[r#"
            error: invalid value 'shop' for '--address <ADDRESS>': the port of `shop` is missing; write HOST:PORT

            For more information, try '--help'."#]],
        );
        check_refusal(
            &["list", "--address", "shop:7233", "--db-filename", "shop.db"],
            expect!["error: the argument '--address <ADDRESS>' cannot be used with '--db-filename <FILE>'"],
        );
        check_refusal(&["start", "-w", "a"], expect!["error: unrecognized subcommand 'start'"]);
    }

    #[test]
    fn the_error_for_invalid_json_input_shows_the_position() {
        let signal = |input| ["signal", "-w", "a", "--name", "b", "--input", input];
        check_refusal(
            &signal("green lamp"),
            expect![[r#"
            error: invalid value 'green lamp' for '--input <JSON>': this is not JSON: expected value at line 1 column 1; a text needs quotes of its own: '"green lamp"'

            For more information, try '--help'."#]],
        );
        check_refusal(
            &signal(r#"{"item": "green lamp", }"#),
            expect![[r#"
            error: invalid value '{"item": "green lamp", }' for '--input <JSON>': this is not JSON: trailing comma at line 1 column 24

            For more information, try '--help'."#]],
        );
        check_refusal(
            &signal("[1, 2"),
            expect![[r#"
            error: invalid value '[1, 2' for '--input <JSON>': this is not JSON: EOF while parsing a list at line 1 column 5

            For more information, try '--help'."#]],
        );
        check_refusal(
            &signal(""),
            expect![[r#"
            error: invalid value '' for '--input <JSON>': this is not JSON: EOF while parsing a value at line 1 column 0

            For more information, try '--help'."#]],
        );
    }
}
