//! The commands, on an engine that listens.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use clap::Parser;
use everloop_proto::temporal::api::common::v1::WorkflowType;
use everloop_proto::temporal::api::taskqueue::v1::TaskQueue;
use everloop_proto::temporal::api::workflowservice::v1::StartWorkflowExecutionRequest;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_server::{ClockMode, Engine, Listening};
use expect_test::expect;
use serde_json::Value;
use tonic::transport::Channel;

use super::*;
use crate::arguments::{Arguments, Task};

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

    /// What a command prints, or why it fails.
    async fn workflow(&self, command: &str) -> Result<String, String> {
        let address = self.listening.address().to_string();
        workflow_at(&address, command).await.map_err(|error| error.replace(&address, "HOST:PORT"))
    }

    /// The same for a command that works, without what differs from run to run.
    async fn says(&self, command: &str) -> String {
        let said = self.workflow(command).await.unwrap();
        said.replace(&self.run_id, "RUN")
    }
}

async fn workflow_at(address: &str, command: &str) -> Result<String, String> {
    let arguments = ["everloop", "workflow"].into_iter().chain(command.split_whitespace());
    let arguments = arguments.chain(["--address", address]);
    let Task::Workflow(arguments) = Arguments::try_parse_from(arguments).unwrap().task() else { panic!("{command}") };
    let target = Target::new(&arguments.server, &BTreeMap::new()).unwrap();
    let mut out = Vec::new();
    execute(arguments, target, &mut out).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

/// The events that a history shows, by name.
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
    let described: Value = serde_json::from_str(&shop.says("describe -w buy-1 -o json").await).unwrap();
    assert_eq!(described["workflowExecutionInfo"]["execution"]["runId"], "RUN");
    assert_eq!(described["workflowExecutionInfo"]["status"], "WORKFLOW_EXECUTION_STATUS_RUNNING");

    let shown = shop.says("show -w buy-1").await;
    assert_eq!(events(&shown), ["WorkflowExecutionStarted", "WorkflowTaskScheduled"], "{shown}");
    let history: Value = serde_json::from_str(&shop.says("show -w buy-1 --output json").await).unwrap();
    assert_eq!(history["events"][0]["eventType"], "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED");
    assert_eq!(history["events"][1]["workflowTaskScheduledEventAttributes"]["taskQueue"]["name"], "shop");
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_and_requests_to_cancel_arrive_and_terminating_ends_it() {
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

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said_with_what_to_do() {
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
