//! Requests that SDKs of other languages, the Temporal CLI and its web UI send by themselves, and the fields they read.

use std::collections::HashMap;

use tonic::Request;

use super::*;
use crate::api::common::{SearchAttributes, WorkerVersionCapabilities};
use crate::api::deployment::WorkerDeploymentOptions;
use crate::api::enums::{
    BuildIdTaskReachability, DescribeTaskQueueMode, RateLimitSource, TaskQueueType, WorkerVersioningMode,
};
use crate::api::taskqueue::{TaskQueueMetadata, TaskQueueTypeInfo, TaskQueueVersionSelection};

impl Bench {
    async fn describe_queue(&mut self, request: DescribeTaskQueueRequest) -> DescribeTaskQueueResponse {
        let request =
            DescribeTaskQueueRequest { namespace: "default".to_owned(), task_queue: Some(queue(QUEUE)), ..request };
        self.client.describe_task_queue(request).await.unwrap().into_inner()
    }
}

fn nexus_poll() -> PollNexusTaskQueueRequest {
    PollNexusTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(queue(QUEUE)),
        identity: "worker".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn search_attributes_are_set_where_clients_read_them_unchecked() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("wf").await;
    let describe =
        DescribeWorkflowExecutionRequest { namespace: "default".to_owned(), execution: Some(execution("wf")) };
    let described = bench.client.describe_workflow_execution(describe).await.unwrap().into_inner();
    let info = described.workflow_execution_info.unwrap();
    assert_eq!(info.search_attributes, Some(SearchAttributes::default()));
    let list = ListWorkflowExecutionsRequest { namespace: "default".to_owned(), ..Default::default() };
    let listed = bench.client.list_workflow_executions(list).await.unwrap().into_inner();
    assert_eq!(listed.executions[0].search_attributes, Some(SearchAttributes::default()));
}

#[tokio::test]
async fn a_nexus_queue_is_described_without_tasks() {
    let mut bench = Bench::new(ClockMode::Real);
    let nexus = DescribeTaskQueueRequest {
        task_queue_type: TaskQueueType::Nexus as i32,
        report_stats: true,
        ..Default::default()
    };
    let described = bench.describe_queue(nexus.clone()).await;
    assert!(described.pollers.is_empty());
    assert_eq!(described.stats.unwrap().approximate_backlog_count, 0);

    let mut poll = Request::new(nexus_poll());
    poll.set_timeout(Duration::from_millis(50));
    bench.client.poll_nexus_task_queue(poll).await.unwrap();
    assert_eq!(bench.describe_queue(nexus).await.pollers[0].identity, "worker");
}

#[tokio::test]
async fn a_poll_for_nexus_tasks_ends_empty_before_its_deadline() {
    let mut bench = Bench::new(ClockMode::Real);
    let mut poll = Request::new(nexus_poll());
    poll.set_timeout(Duration::from_millis(100));
    let task = bench.client.poll_nexus_task_queue(poll).await.unwrap().into_inner();
    assert_eq!(task, PollNexusTaskQueueResponse::default());
}

#[tokio::test]
async fn the_status_of_a_queue_is_described_on_request() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("wf").await;
    assert_eq!(bench.describe_queue(DescribeTaskQueueRequest::default()).await.task_queue_status, None);
    let with_status = DescribeTaskQueueRequest { include_task_queue_status: true, ..Default::default() };
    let status = bench.describe_queue(with_status).await.task_queue_status.unwrap();
    assert_eq!(status.backlog_count_hint, 1);
    assert!(status.task_id_block.is_some());
}

#[tokio::test]
async fn queues_are_described_by_build_ids_in_enhanced_mode() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("a").await;
    bench.start("b").await;
    bench.poll().await;
    let enhanced = DescribeTaskQueueRequest {
        api_mode: DescribeTaskQueueMode::Enhanced as i32,
        report_pollers: true,
        report_stats: true,
        ..Default::default()
    };
    let described = bench.describe_queue(enhanced.clone()).await;
    assert!(described.pollers.is_empty(), "they stand with their version");
    let unversioned = &described.versions_info[""];
    assert_eq!(unversioned.task_reachability(), BuildIdTaskReachability::Unspecified);
    assert_eq!(unversioned.types_info.len(), 2);
    let workflows = &unversioned.types_info[&(TaskQueueType::Workflow as i32)];
    assert_eq!(workflows.pollers[0].identity, "worker");
    assert_eq!(workflows.stats.unwrap().approximate_backlog_count, 1);

    let only_activities = DescribeTaskQueueRequest {
        task_queue_types: vec![TaskQueueType::Activity as i32],
        report_task_reachability: true,
        report_pollers: false,
        report_stats: false,
        ..enhanced.clone()
    };
    let described = bench.describe_queue(only_activities).await;
    let unversioned = &described.versions_info[""];
    assert_eq!(unversioned.task_reachability(), BuildIdTaskReachability::Reachable);
    let expected = HashMap::from([(TaskQueueType::Activity as i32, TaskQueueTypeInfo::default())]);
    assert_eq!(unversioned.types_info, expected);

    let of_version = DescribeTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(queue(QUEUE)),
        versions: Some(TaskQueueVersionSelection { build_ids: vec!["v1".to_owned()], ..Default::default() }),
        ..enhanced
    };
    let refused = bench.client.describe_task_queue(of_version).await.unwrap_err();
    assert_eq!((refused.code(), refused.message().contains("versions.build_ids")), (Code::Unimplemented, true));
}

#[tokio::test]
async fn the_server_version_is_that_of_the_followed_temporal_server() {
    let mut bench = Bench::new(ClockMode::Real);
    let system = bench.client.get_system_info(GetSystemInfoRequest {}).await.unwrap().into_inner();
    let cluster = bench.client.get_cluster_info(GetClusterInfoRequest {}).await.unwrap().into_inner();
    assert_eq!(system.server_version, cluster.server_version);
    // The web UI shows features of 1.23 to 1.27 only from these versions on.
    let numbers: Vec<u32> = system.server_version.split('.').map(|number| number.parse().unwrap()).collect();
    assert!(numbers >= vec![1, 27, 0], "{numbers:?}");
    let ours = cluster.version_info.unwrap().current.unwrap();
    assert_eq!((ours.version.as_str(), ours.notes.as_str()), (env!("CARGO_PKG_VERSION"), "Everloop"));
}

#[tokio::test]
async fn versioned_workers_are_rejected_and_the_field_is_named() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("wf").await;
    let versioned = WorkerDeploymentOptions {
        deployment_name: "shop".to_owned(),
        build_id: "v1".to_owned(),
        worker_versioning_mode: WorkerVersioningMode::Versioned as i32,
    };
    let poll = |options: WorkerDeploymentOptions| PollWorkflowTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(queue(QUEUE)),
        deployment_options: Some(options),
        ..Default::default()
    };
    let activity_poll = |options: WorkerDeploymentOptions| PollActivityTaskQueueRequest {
        namespace: "default".to_owned(),
        task_queue: Some(queue(QUEUE)),
        deployment_options: Some(options),
        ..Default::default()
    };
    let by_build_id = PollWorkflowTaskQueueRequest {
        deployment_options: None,
        worker_version_capabilities: Some(WorkerVersionCapabilities {
            build_id: "v1".to_owned(),
            use_versioning: true,
            ..Default::default()
        }),
        ..poll(versioned.clone())
    };
    let nexus = PollNexusTaskQueueRequest { deployment_options: Some(versioned.clone()), ..nexus_poll() };
    let refusals = [
        bench.client.poll_workflow_task_queue(poll(versioned.clone())).await.unwrap_err(),
        bench.client.poll_activity_task_queue(activity_poll(versioned.clone())).await.unwrap_err(),
        bench.client.poll_nexus_task_queue(nexus).await.unwrap_err(),
        bench.client.poll_workflow_task_queue(by_build_id).await.unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(refused.code(), Code::Unimplemented);
        let named = ["deployment_options.worker_versioning_mode", "worker_version_capabilities.use_versioning"];
        assert!(named.iter().any(|name| refused.message().contains(name)), "{}", refused.message());
    }

    // A build id alone only describes the worker.
    let unversioned =
        WorkerDeploymentOptions { worker_versioning_mode: WorkerVersioningMode::Unversioned as i32, ..versioned };
    let task = bench.client.poll_workflow_task_queue(poll(unversioned)).await.unwrap().into_inner();
    assert!(!task.task_token.is_empty());
}

#[tokio::test]
async fn polls_limit_the_rate_of_their_queue_and_the_last_one_wins() {
    let mut bench = Bench::new(ClockMode::Real);
    bench.start("wf").await;
    let task = bench.poll().await;
    let both = ["1", "2"].map(|id| {
        let mut command = run_activity();
        if let Some(CommandAttributes::ScheduleActivityTaskCommandAttributes(activity)) = &mut command.attributes {
            activity.activity_id = id.to_owned();
        }
        command
    });
    bench.complete(&task, both.into()).await;

    let poll = |rate: f64| {
        let mut poll = Request::new(PollActivityTaskQueueRequest {
            namespace: "default".to_owned(),
            task_queue: Some(queue(QUEUE)),
            identity: "worker".to_owned(),
            task_queue_metadata: Some(TaskQueueMetadata { max_tasks_per_second: Some(rate) }),
            ..Default::default()
        });
        poll.set_timeout(Duration::from_millis(200));
        poll
    };
    let one_in_an_hour = 1.0 / 3600.0;
    let first = bench.client.poll_activity_task_queue(poll(one_in_an_hour)).await.unwrap().into_inner();
    assert_eq!(first.activity_id, "1");
    let none = bench.client.poll_activity_task_queue(poll(one_in_an_hour)).await.unwrap().into_inner();
    assert!(none.task_token.is_empty(), "the second one is due in an hour");
    let activities = DescribeTaskQueueRequest {
        task_queue_type: TaskQueueType::Activity as i32,
        report_stats: true,
        ..Default::default()
    };
    let described = bench.describe_queue(activities.clone()).await;
    assert_eq!(described.pollers[0].rate_per_second, one_in_an_hour);
    let limit = described.effective_rate_limit.unwrap();
    assert_eq!(
        (limit.requests_per_second, limit.rate_limit_source()),
        (one_in_an_hour as f32, RateLimitSource::Worker)
    );
    assert!(described.stats.unwrap().rate_limiting_active);

    // Workers of the Go SDK send this rate when their user sets no limit.
    let second = bench.client.poll_activity_task_queue(poll(100_000.0)).await.unwrap().into_inner();
    assert_eq!(second.activity_id, "2");
    let limit = bench.describe_queue(activities).await.effective_rate_limit.unwrap();
    assert_eq!(limit.rate_limit_source(), RateLimitSource::System);

    let negative = bench.client.poll_activity_task_queue(poll(-1.0)).await.unwrap_err();
    assert_eq!(negative.code(), Code::InvalidArgument);
}
