//! Tests of the commands, with an engine that listens.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use clap::Parser;
use everloop_proto::temporal::api::command::v1::command::Attributes;
use everloop_proto::temporal::api::command::v1::{Command, ScheduleActivityTaskCommandAttributes};
use everloop_proto::temporal::api::common::v1::{ActivityType, WorkflowType};
use everloop_proto::temporal::api::enums::v1::CommandType;
use everloop_proto::temporal::api::taskqueue::v1::TaskQueue;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_proto::temporal::api::workflowservice::v1::{
    PollWorkflowTaskQueueRequest, RespondWorkflowTaskCompletedRequest, StartWorkflowExecutionRequest,
};
use everloop_server::{ClockMode, Engine, Listening};
use expect_test::expect;
use serde_json::Value;
use tonic::transport::Channel;

use super::*;
use crate::arguments::{Arguments, ProgramCommand};

/// A server with one workflow, `buy-1`.
struct Shop {
    listening: Listening,
    run_id: String,
}

impl Shop {
    async fn open() -> Self {
        let engine = Engine::memory(ClockMode::Real).unwrap();
        let listening = engine.listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let endpoint = Channel::from_shared(format!("http://{}", listening.address())).unwrap();
        let mut client = WorkflowServiceClient::new(endpoint.connect().await.unwrap());
        let start = StartWorkflowExecutionRequest {
            namespace: "default".to_owned(),
            workflow_id: "buy-1".to_owned(),
            workflow_type: Some(WorkflowType { name: "Buy".to_owned() }),
            task_queue: Some(TaskQueue { name: "shop".to_owned(), ..Default::default() }),
            identity: "ann".to_owned(),
            ..Default::default()
        };
        let run_id = client.start_workflow_execution(start).await.unwrap().into_inner().run_id;
        Self { listening, run_id }
    }

    async fn client(&self) -> WorkflowServiceClient<Channel> {
        let endpoint = Channel::from_shared(format!("http://{}", self.listening.address())).unwrap();
        WorkflowServiceClient::new(endpoint.connect().await.unwrap())
    }

    /// Returns the output of a command, or its error.
    async fn workflow(&self, command: &str) -> Result<String, String> {
        let address = self.listening.address().to_string();
        workflow_at(&address, command).await.map_err(|error| error.replace(&address, "HOST:PORT"))
    }

    /// Returns the output of a command that succeeds, without the parts that differ from run to run.
    async fn says(&self, command: &str) -> String {
        let said = self.workflow(command).await.unwrap();
        said.replace(&self.run_id, "RUN")
    }
}

async fn workflow_at(address: &str, command: &str) -> Result<String, String> {
    workflow_with(["--address", address], command).await
}

async fn workflow_with(place: [&str; 2], command: &str) -> Result<String, String> {
    let arguments = ["everloop", "workflow"].into_iter().chain(command.split_whitespace());
    let arguments = arguments.chain(place);
    let ProgramCommand::Workflow(arguments) = Arguments::try_parse_from(arguments).unwrap().into_command() else {
        panic!("{command}")
    };
    let target = CommandTarget::new(&arguments.server, &BTreeMap::new()).unwrap();
    let mut out = Vec::new();
    execute(arguments, target, &mut out).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

/// The names of the events in the output of `show`.
fn events(shown: &str) -> Vec<&str> {
    let names = shown.lines().filter_map(|line| line.split_whitespace().nth(2));
    names.filter(|name| name.starts_with("Workflow")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_listed_described_and_shown() {
    let shop = Shop::open().await;
    let listed = shop.says("list").await;
    let words: Vec<_> = listed.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>()).collect();
    assert_eq!(words, [["Status", "WorkflowId"], ["Running", "buy-1"]], "{listed}");
    assert_eq!(shop.says("list --query WorkflowType='Sell'").await.lines().count(), 1, "the heading alone");

    let described = shop.says("describe -w buy-1").await;
    for fact in ["buy-1", "RUN", "Buy", "shop", "Running"] {
        assert!(described.contains(fact), "{fact}: {described}");
    }
    let unpolled = "no worker polls queue \"shop\": the workflow continues when a worker of that queue runs";
    assert!(described.contains(unpolled), "{described}");
    let described: Value = serde_json::from_str(&shop.says("describe -w buy-1 -o json").await).unwrap();
    assert_eq!(described["workflowExecutionInfo"]["execution"]["runId"], "RUN");
    assert_eq!(described["workflowExecutionInfo"]["status"], "WORKFLOW_EXECUTION_STATUS_RUNNING");

    let shown = shop.says("show -w buy-1").await;
    assert_eq!(events(&shown), ["WorkflowExecutionStarted", "WorkflowTaskScheduled"], "{shown}");
    let history: Value = serde_json::from_str(&shop.says("show -w buy-1 --output json").await).unwrap();
    assert_eq!(history["events"][0]["eventType"], "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED");
    assert_eq!(history["events"][1]["workflowTaskScheduledEventAttributes"]["taskQueue"]["name"], "shop");
}

/// The first run continues as new, the second one is terminated.
#[tokio::test(flavor = "multi_thread")]
async fn commands_follow_a_workflow_that_continues_as_new() {
    let shop = Shop::open().await;
    let mut worker = shop.client().await;
    let poll = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(TaskQueue { name: "shop".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let task = worker.poll_workflow_task_queue(poll).await.unwrap().into_inner();
    let command = Command {
        command_type: CommandType::ContinueAsNewWorkflowExecution as i32,
        attributes: Some(Attributes::ContinueAsNewWorkflowExecutionCommandAttributes(Box::default())),
        ..Default::default()
    };
    let completed = RespondWorkflowTaskCompletedRequest {
        namespace: "default".to_owned(),
        task_token: task.task_token,
        commands: vec![command],
        ..Default::default()
    };
    worker.respond_workflow_task_completed(completed).await.unwrap();

    let fact = |said: &str, name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name).map(|fact| fact.trim().to_owned()));
        line.unwrap_or_else(|| panic!("no {name}: {said}"))
    };
    let described = shop.workflow("describe -w buy-1").await.unwrap();
    assert_eq!(
        (fact(&described, "Status"), fact(&described, "FirstRunId")),
        ("Running".to_owned(), shop.run_id.clone())
    );
    let next = fact(&described, "RunId");
    let first = shop.workflow(&format!("describe -w buy-1 -r {}", shop.run_id)).await.unwrap();
    assert_eq!((fact(&first, "Status"), fact(&first, "NewRunId")), ("ContinuedAsNew".to_owned(), next.clone()));
    let shown = shop.workflow("show -w buy-1").await.unwrap();
    assert_eq!(events(&shown), ["WorkflowExecutionStarted", "WorkflowTaskScheduled"], "{shown}");

    shop.workflow("terminate -w buy-1").await.unwrap();
    let first = shop.workflow(&format!("show -w buy-1 -r {}", shop.run_id)).await.unwrap();
    assert_eq!(events(&first).last(), Some(&"WorkflowExecutionContinuedAsNew"), "{first}");
    assert_eq!(fact(&first, "NewRunId"), next);
    let both = shop.workflow(&format!("show -w buy-1 --follow -r {}", shop.run_id)).await.unwrap();
    assert!(both.starts_with(&first), "{both}");
    assert_eq!(events(&both).last(), Some(&"WorkflowExecutionTerminated"), "{both}");
    let listed = shop.workflow("list").await.unwrap();
    assert!(listed.contains("ContinuedAsNew") && listed.contains("Terminated"), "{listed}");
}

/// A worker has scheduled an activity on another queue, and continues to poll its own.
#[tokio::test(flavor = "multi_thread")]
async fn pending_activities_are_shown_with_their_unpolled_queue() {
    let shop = Shop::open().await;
    let mut worker = shop.client().await;
    let queue = |name: &str| Some(TaskQueue { name: name.to_owned(), ..Default::default() });
    let poll = PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: queue("shop"),
        identity: "bob".to_owned(),
        ..Default::default()
    };
    let task = worker.poll_workflow_task_queue(poll).await.unwrap().into_inner();
    let schedule = ScheduleActivityTaskCommandAttributes {
        activity_id: "1".to_owned(),
        activity_type: Some(ActivityType { name: "pack".to_owned() }),
        task_queue: queue("packers"),
        start_to_close_timeout: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..Default::default()
    };
    let command = Command {
        command_type: CommandType::ScheduleActivityTask as i32,
        attributes: Some(Attributes::ScheduleActivityTaskCommandAttributes(schedule)),
        ..Default::default()
    };
    let completed = RespondWorkflowTaskCompletedRequest {
        namespace: "default".to_owned(),
        task_token: task.task_token,
        commands: vec![command],
        identity: "bob".to_owned(),
        ..Default::default()
    };
    worker.respond_workflow_task_completed(completed).await.unwrap();

    let waiting =
        "no worker polls queue \"packers\" for activities: the pending ones run when a worker that has them runs";
    for command in ["describe -w buy-1", "show -w buy-1"] {
        let said = shop.says(command).await;
        assert!(said.contains(waiting) && !said.contains("queue \"shop\""), "{command}: {said}");
        let row = said.lines().find(|line| line.split_whitespace().take(4).eq(["1", "pack", "Scheduled", "1"]));
        assert!(row.is_some(), "{command}: {said}");
    }
    // A workflow that has ended waits for no worker.
    shop.workflow("terminate -w buy-1").await.unwrap();
    for command in ["describe -w buy-1", "show -w buy-1"] {
        let said = shop.says(command).await;
        assert!(!said.contains("no worker polls"), "{command}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signal_and_cancel_are_recorded_and_terminate_closes_the_run() {
    let shop = Shop::open().await;
    shop.workflow(r#"signal -w buy-1 --name change -i "lamp" -i 2"#).await.unwrap();
    shop.workflow("cancel -w buy-1 --reason sold").await.unwrap();
    let shown = shop.says("show -w buy-1").await;
    let happened = ["WorkflowExecutionStarted", "WorkflowTaskScheduled", "WorkflowExecutionSignaled"];
    assert_eq!(events(&shown)[..3], happened, "{shown}");
    assert_eq!(events(&shown)[3..], ["WorkflowExecutionCancelRequested"], "{shown}");
    let history: Value = serde_json::from_str(&shop.says("show -w buy-1 -o json").await).unwrap();
    let signal = &history["events"][2]["workflowExecutionSignaledEventAttributes"];
    assert_eq!(signal["input"]["payloads"][1]["data"], "Mg==", "{signal}");

    shop.workflow("terminate -w buy-1 --reason sold").await.unwrap();
    let shown = shop.says("show -w buy-1 --follow").await;
    assert!(shown.contains("WorkflowExecutionTerminated") && shown.contains("Terminated"), "{shown}");
    let closed = shop.workflow("signal -w buy-1 --name change").await.unwrap_err();
    expect!["workflow execution already completed; asked in namespace `default` at HOST:PORT"].assert_eq(&closed);
}

/// Starts `buy-1` on an in-process engine that does not listen.
async fn start(engine: &Engine) {
    let mut client = WorkflowServiceClient::new(engine.workflow_service());
    let start = StartWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_id: "buy-1".to_owned(),
        workflow_type: Some(WorkflowType { name: "Buy".to_owned() }),
        task_queue: Some(TaskQueue { name: "shop".to_owned(), ..Default::default() }),
        identity: "ann".to_owned(),
        ..Default::default()
    };
    client.start_workflow_execution(start).await.unwrap();
}

/// All files of a folder with their contents, except SQLite's index of the log.
fn files(folder: &std::path::Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|file| file.extension().is_none_or(|extension| extension != "db-shm"));
    files.map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_can_be_read_whether_or_not_a_program_has_it_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().canonicalize().unwrap().join("shop.db");
    let name = file.to_str().unwrap().to_owned();
    let shown = async |command: &str| workflow_with(["--db-filename", &name], command).await;
    let missing = shown("list").await.unwrap_err();
    assert_eq!(missing, format!("there is no file {name}"));
    assert!(files(folder.path()).is_empty());
    let directory = folder.path().canonicalize().unwrap().display().to_string();
    let refused = workflow_with(["--db-filename", &directory], "list").await.unwrap_err();
    assert_eq!(refused, format!("cannot open {directory}: it is a folder: name a file in it"));
    std::fs::write(&file, "").unwrap();
    let empty = shown("list").await.unwrap_err();
    assert_eq!(empty, format!("cannot open {name}: it is empty: no program has written to it yet"));
    std::fs::remove_file(&file).unwrap();

    let shows = async |advice: &str| {
        let listed = shown("list").await.unwrap();
        assert!(listed.contains("Running") && listed.contains("buy-1"), "{listed}");
        assert_eq!(shown("count").await.unwrap().split_whitespace().collect::<Vec<_>>(), ["Total", "1"]);
        let counted: Value = serde_json::from_str(&shown("count -o json").await.unwrap()).unwrap();
        assert_eq!(counted, serde_json::json!({ "count": "1" }));
        let described = shown("describe -w buy-1").await.unwrap();
        assert!(described.contains("shop") && described.contains("Running"), "{described}");
        let history = shown("show -w buy-1").await.unwrap();
        // The file does not contain pollers.
        assert!(!described.contains("polls") && !history.contains("polls"), "{described}\n{history}");
        assert_eq!(events(&history), ["WorkflowExecutionStarted", "WorkflowTaskScheduled"], "{history}");
        let unknown = shown("describe -w buy-9").await.unwrap_err();
        assert_eq!(unknown, format!("workflow not found for ID: buy-9; asked in namespace `default` at {name}"));
        for (command, what) in [
            ("signal -w buy-1 --name change", "send a signal"),
            ("cancel -w buy-1", "cancel a workflow"),
            ("terminate -w buy-1", "terminate a workflow"),
            ("query -w buy-1 --name status", "query a workflow, which a worker answers"),
            ("show -w buy-1 --follow", "follow a history"),
        ] {
            let refusal = shown(command).await.unwrap_err();
            assert!(refusal.starts_with(&format!("cannot {what}: {name} is only read here: {advice}")), "{refusal}");
        }
    };

    let engine = Engine::open(&file).unwrap();
    start(&engine).await;
    let pid = std::process::id();
    let serve = "let it call `client.serve(\"127.0.0.1:7233\")`";
    shows(&format!("process {pid} has it open and does not listen: {serve}")).await;
    let listening = engine.listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let address = listening.address();
    let killed = format!("if the process was killed, `everloop server start-dev --db-filename {name}` serves the file");
    let advice =
        format!("process {pid} has it open and listens on {address}: use that address instead of the file; {killed}");
    shows(&advice).await;
    listening.stop().await;

    drop(engine);
    while Engine::open_read_only(&file).unwrap().read_only_advice().is_some_and(|advice| advice.contains("process")) {
        tokio::task::yield_now().await;
    }
    let before = files(folder.path());
    shows(&format!("start the program that it belongs to, or `everloop server start-dev --db-filename {name}`")).await;
    assert_eq!(files(folder.path()), before, "nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_the_target_and_the_remedy() {
    let shop = Shop::open().await;
    let unknown = shop.workflow("describe -w buy-9").await.unwrap_err();
    expect!["workflow not found for ID: buy-9; asked in namespace `default` at HOST:PORT"].assert_eq(&unknown);
    let namespace = shop.workflow("list -n elsewhere").await.unwrap_err();
    expect!["Namespace elsewhere is not found; asked in namespace `elsewhere` at HOST:PORT"].assert_eq(&namespace);
    let filter = shop.workflow("list --query Colour='red'").await.unwrap_err();
    assert!(filter.contains("Colour"), "{filter}");

    let nobody = {
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        taken.local_addr().unwrap().to_string()
    };
    let unreachable = workflow_at(&nobody, "list").await.unwrap_err();
    expect!["cannot reach a server at HOST:PORT: Connection refused (os error 111); `everloop server start-dev` starts one on this machine, --address or TEMPORAL_ADDRESS names another"].assert_eq(&unreachable.replace(&nobody, "HOST:PORT"));
}
