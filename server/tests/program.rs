//! Tests of the program as other programs start it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use everloop_proto::grpc::health::v1::HealthCheckRequest;
use everloop_proto::grpc::health::v1::health_check_response::ServingStatus;
use everloop_proto::grpc::health::v1::health_client::HealthClient;
use everloop_proto::temporal::api::common::v1::WorkflowType;
use everloop_proto::temporal::api::enums::v1::TaskQueueType;
use everloop_proto::temporal::api::operatorservice::v1::ListSearchAttributesRequest;
use everloop_proto::temporal::api::operatorservice::v1::operator_service_client::OperatorServiceClient;
use everloop_proto::temporal::api::taskqueue::v1::TaskQueue;
use everloop_proto::temporal::api::testservice::v1::test_service_client::TestServiceClient;
use everloop_proto::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use everloop_proto::temporal::api::workflowservice::v1::{
    DescribeNamespaceRequest, DescribeTaskQueueRequest, GetSystemInfoRequest, PollWorkflowTaskQueueRequest,
    SignalWorkflowExecutionRequest, StartWorkflowExecutionRequest,
};
use tonic::Code;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::Channel;

/// A started program, killed when a test fails.
struct ServerProcess {
    process: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl ServerProcess {
    /// Waits until the program announces its address.
    fn start(arguments: &[&str]) -> Self {
        let mut process = program(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("unexpected first line {line:?}"))
            .to_owned();
        Self { process, output, address }
    }

    fn development(flags: &[&str]) -> Self {
        Self::start(&[&["server", "start-dev", "--port", "0", "--headless"], flags].concat())
    }

    async fn connect(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    fn port(&self) -> &str {
        self.address.rsplit(':').next().unwrap()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // The program may have ended already, in tests that stop it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everloop"));
    command.args(arguments);
    command
}

/// The output on standard error of a program that does not start.
fn refusal(arguments: &[&str]) -> String {
    let output = program(arguments).output().unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn the_program_serves_health_namespaces_and_search_attributes() {
    let server = ServerProcess::development(&["--namespace", "shop"]);
    let channel = server.connect().await;
    let mut health = HealthClient::new(channel.clone());
    let service = "temporal.api.workflowservice.v1.WorkflowService".to_owned();
    let status = health.check(HealthCheckRequest { service }).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::Serving);

    let mut workflows = WorkflowServiceClient::new(channel.clone());
    for name in ["default", "shop"] {
        let request = DescribeNamespaceRequest { namespace: name.to_owned(), ..Default::default() };
        let info = workflows.describe_namespace(request).await.unwrap().into_inner().namespace_info.unwrap();
        assert_eq!(info.name, name);
    }

    let mut operator = OperatorServiceClient::new(channel.clone());
    let attributes = operator.list_search_attributes(ListSearchAttributesRequest { namespace: "shop".to_owned() });
    assert!(attributes.await.unwrap().into_inner().system_attributes.contains_key("WorkflowId"));

    let time = TestServiceClient::new(channel).get_current_time(()).await;
    assert_eq!(time.unwrap_err().code(), Code::Unimplemented, "a development server does not skip time");
}

#[tokio::test]
async fn compressed_requests_get_compressed_responses() {
    let server = ServerProcess::development(&[]);
    let channel = server.connect().await;
    let mut plain = WorkflowServiceClient::new(channel.clone()).accept_compressed(Gzip);
    let mut packed = plain.clone().send_compressed(Gzip);
    let (plain, packed) = (
        plain.get_system_info(GetSystemInfoRequest {}).await.unwrap(),
        packed.get_system_info(GetSystemInfoRequest {}).await.unwrap(),
    );
    assert!(plain.metadata().get("grpc-encoding").is_none());
    assert_eq!(packed.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert_eq!(plain.into_inner(), packed.into_inner());
}

#[tokio::test]
async fn too_large_messages_are_rejected_with_the_message_of_the_temporal_server() {
    let server = ServerProcess::development(&[]);
    let channel = server.connect().await;
    let request = SignalWorkflowExecutionRequest { identity: "x".repeat(5 << 20), ..Default::default() };
    let mut plain = WorkflowServiceClient::new(channel);
    let mut packed = plain.clone().send_compressed(Gzip);
    let refusal = plain.signal_workflow_execution(request.clone()).await.unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted);
    assert!(refusal.message().starts_with("grpc: received message larger than max"), "{refusal}");
    let refusal = packed.signal_workflow_execution(request).await.unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted);
    assert!(refusal.message().starts_with("grpc: received message after decompression larger"), "{refusal}");
}

#[tokio::test]
async fn a_test_server_returns_its_time() {
    for arguments in [&["0"][..], &["0", "--enable-time-skipping"]] {
        let server = ServerProcess::start(arguments);
        let time = TestServiceClient::new(server.connect().await).get_current_time(()).await.unwrap();
        assert!(time.into_inner().time.unwrap().seconds > 1_700_000_000);
    }
}

#[test]
fn impossible_settings_end_the_program_with_an_error() {
    let server = ServerProcess::development(&[]);
    let in_use = refusal(&["server", "start-dev", "--port", server.port()]);
    assert_eq!(in_use, format!("everloop: 127.0.0.1:{} is in use by another program\n", server.port()));
    let reachable = refusal(&["server", "start-dev", "--ip", "0.0.0.0"]);
    assert!(reachable.contains("--insecure"), "{reachable}");
}

/// Root has all permissions, so the program runs as an unprivileged user.
#[cfg(unix)]
#[test]
fn a_file_without_write_permission_is_rejected_with_the_remedy() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir().unwrap();
    let is_root = fs::metadata(folder.path()).unwrap().uid() == 0;
    let file = folder.path().join("shop.db");
    // The program itself must be executable for all users.
    let everloop = folder.path().join("everloop");
    // If this process wrote the copy, processes that other tests start meanwhile would inherit it open for writing.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_everloop")).arg(&everloop).status().unwrap();
    assert!(copied.success());
    let refusal = |file: &std::path::Path| {
        let mut command = Command::new(&everloop);
        command.args(["server", "start-dev", "--port", "0", "--db-filename"]).arg(file);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let denied = format!("everloop: no permission to read and write {}", file.display());

    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    let read_only_folder = refusal(&file);
    assert!(read_only_folder.starts_with(&denied), "{read_only_folder}");

    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    let no_permission = refusal(&file);
    assert!(no_permission.starts_with(&denied), "{no_permission}");

    // The same file with permission: only the permission was missing.
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    let _ = fs::remove_file(folder.path().join("shop.db.lock"));
    let server = ServerProcess::development(&["--db-filename", file.to_str().unwrap()]);
    drop(server);
}

#[tokio::test]
async fn the_data_of_a_file_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db").display().to_string();
    let server = ServerProcess::development(&["--db-filename", &file]);
    let mut client = WorkflowServiceClient::new(server.connect().await);
    let start = StartWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_id: "buy-1".to_owned(),
        workflow_type: Some(WorkflowType { name: "Buy".to_owned() }),
        task_queue: Some(TaskQueue { name: "shop".to_owned(), ..Default::default() }),
        request_id: "once".to_owned(),
        ..Default::default()
    };
    let first = client.start_workflow_execution(start.clone()).await.unwrap().into_inner();

    let second = refusal(&["server", "start-dev", "--port", "0", "--db-filename", &file]);
    let pid = server.process.id();
    let expected = format!(
        "everloop: {file} is open in process {pid}, which listens on {address}: connect to http://{address}\n",
        address = server.address
    );
    assert_eq!(second, expected);

    // A copy made while the server has the file open works with another server.
    let copy = folder.path().join("copy.db").display().to_string();
    let backup = ["backup", "--db-filename", &file, &copy];
    let said = String::from_utf8(program(&backup).output().unwrap().stdout).unwrap();
    assert!(said.starts_with(&format!("{copy} holds all of {file}: ")), "{said}");
    assert!(refusal(&backup).contains("copy.db is there already"));
    let twin = ServerProcess::development(&["--db-filename", &copy]);
    let mut at_twin = WorkflowServiceClient::new(twin.connect().await);
    let known = at_twin.start_workflow_execution(start.clone()).await.unwrap().into_inner();
    assert_eq!(known.run_id, first.run_id);
    drop(twin);

    // Dropping kills the server without a signal to stop.
    drop(server);
    let mut server = ServerProcess::development(&["--db-filename", &file]);
    let mut said = String::new();
    for _ in 0..3 {
        server.output.read_line(&mut said).unwrap();
    }
    assert!(said.contains(&format!("data  {file}")) && said.contains("runs  1 open, opened in"), "{said}");
    let mut client = WorkflowServiceClient::new(server.connect().await);
    let again = client.start_workflow_execution(start).await.unwrap().into_inner();
    assert_eq!((again.run_id, again.started), (first.run_id, true), "the same request has the same answer");
}

/// Standard error is a closed pipe, as with `everloop server start-dev 2>&1 | head -1`.
#[tokio::test]
async fn a_server_keeps_running_when_its_standard_error_is_closed() {
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let mut process = program(&["server", "start-dev", "--port", "0", "--headless", "--log-level", "debug"])
        .args(["--search-attribute", "a=Text"])
        .stdout(Stdio::piped())
        .stderr(closed())
        .spawn()
        .unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let mut server = ServerProcess { process, output, address: String::new() };
    let mut line = String::new();
    server.output.read_line(&mut line).unwrap();
    server.address = line.trim().strip_prefix("listening on ").expect("it has started").to_owned();
    let mut client = WorkflowServiceClient::new(server.connect().await);
    for _ in 0..3 {
        client.get_system_info(GetSystemInfoRequest {}).await.unwrap();
    }

    let status = program(&["backup", "--db-filename", "missing.db", "copy.db"]).stderr(closed()).status().unwrap();
    assert_eq!(status.code(), Some(1), "the exit code does not depend on standard error");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_waiting_polls_and_exits_successfully() {
    let mut server = ServerProcess::development(&[]);
    let mut client = WorkflowServiceClient::new(server.connect().await);
    let queue = TaskQueue { name: "shop".to_owned(), ..Default::default() };
    let poll = tokio::spawn({
        let mut client = client.clone();
        let task_queue = Some(queue.clone());
        let request =
            PollWorkflowTaskQueueRequest { namespace: "default".to_owned(), task_queue, ..Default::default() };
        async move { client.poll_workflow_task_queue(request).await }
    });
    let describe = DescribeTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(queue),
        task_queue_type: TaskQueueType::Workflow.into(),
        ..Default::default()
    };
    while client.describe_task_queue(describe.clone()).await.unwrap().into_inner().pollers.is_empty() {
        tokio::task::yield_now().await;
    }
    // The shell's built-in `kill`: the program of that name is not installed everywhere.
    let killed = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", server.process.id())).status().unwrap();
    assert!(killed.success());
    assert!(poll.await.unwrap().unwrap().into_inner().task_token.is_empty());
    let mut rest = String::new();
    server.output.read_to_string(&mut rest).unwrap();
    let said: Vec<_> = rest.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(said, ["data", "mode", "runs", "use"], "what a start says, and nothing else: {rest}");
    assert!(server.process.wait().unwrap().success());
}
