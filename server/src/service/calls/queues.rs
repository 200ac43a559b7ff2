//! Descriptions of task queues.

use std::collections::HashMap;
use std::sync::Arc;

use tonic::Status;

use crate::api::enums::{BuildIdTaskReachability, DescribeTaskQueueMode, RateLimitSource, TaskQueueType};
use crate::api::taskqueue::{
    PollerInfo, TaskIdBlock, TaskQueueStats, TaskQueueStatus, TaskQueueTypeInfo, TaskQueueVersionInfo,
};
use crate::api::workflowservice::describe_task_queue_response::EffectiveRateLimit;
use crate::api::workflowservice::{DescribeTaskQueueRequest, DescribeTaskQueueResponse};
use crate::engine::error::Refusal;
use crate::engine::time::wire_duration;
use crate::matching::{QueueKey, QueueKind};
use crate::namespaces::Namespace;
use crate::service::calls::call::Call;
use crate::service::calls::known::known;
use crate::service::calls::poll::queue_name;
use crate::service::core::Core;

/// The key of unversioned workers in a description by build ids.
const UNVERSIONED: &str = "";

impl Core {
    pub(in crate::service) async fn describe_task_queue(
        self: &Arc<Self>,
        request: DescribeTaskQueueRequest,
        _call: Call,
    ) -> Result<DescribeTaskQueueResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (name, sticky) = queue_name(request.task_queue.as_ref(), "")?;
        let mode: DescribeTaskQueueMode = known("api_mode", request.api_mode)?;
        if mode == DescribeTaskQueueMode::Enhanced {
            if sticky {
                return Err(Refusal::invalid("Enhanced DescribeTaskQueue is not supported for sticky queues.").into());
            }
            return Ok(self.describe_by_build_ids(&namespace, &name, &request)?);
        }
        let kind = match known("task_queue_type", request.task_queue_type)? {
            TaskQueueType::Unspecified | TaskQueueType::Workflow if sticky => QueueKind::Sticky,
            kind => queue_kind(kind),
        };
        let described = self.describe_queue(QueueKey { namespace: namespace.key, kind, name });
        let (rate, source) = match described.tasks_per_second {
            Some(rate) if rate < RATE_UNLIMITED => (rate, RateLimitSource::Worker),
            _ => (RATE_UNLIMITED, RateLimitSource::System),
        };
        let status = request.include_task_queue_status.then(|| TaskQueueStatus {
            backlog_count_hint: described.stats.approximate_backlog_count,
            rate_per_second: rate,
            // Tasks are derived from the state of runs and have no ids, so there are no levels to report.
            task_id_block: Some(TaskIdBlock::default()),
            ..Default::default()
        });
        Ok(DescribeTaskQueueResponse {
            pollers: described.pollers,
            stats: request.report_stats.then_some(described.stats),
            task_queue_status: status,
            effective_rate_limit: Some(EffectiveRateLimit {
                requests_per_second: rate as f32,
                rate_limit_source: source as i32,
            }),
            ..Default::default()
        })
    }

    /// Describes the queues of one name for each requested build id. Versioned workers are rejected, so there is one
    /// entry: that of the unversioned workers.
    fn describe_by_build_ids(
        &self,
        namespace: &Namespace,
        name: &Arc<str>,
        request: &DescribeTaskQueueRequest,
    ) -> Result<DescribeTaskQueueResponse, Refusal> {
        let versions = request.versions.as_ref();
        if versions.is_some_and(|versions| versions.build_ids.iter().any(|id| id != UNVERSIONED)) {
            return Err(Refusal::Unsupported("versions.build_ids"));
        }
        let kinds = request.task_queue_types.iter().map(|number| known("task_queue_types", *number));
        let mut kinds = kinds.collect::<Result<Vec<TaskQueueType>, _>>()?;
        if kinds.is_empty() {
            kinds = vec![TaskQueueType::Workflow, TaskQueueType::Activity];
        }
        let describe = |kind: TaskQueueType| {
            let described = self.describe_queue(QueueKey {
                namespace: namespace.key,
                kind: queue_kind(kind),
                name: Arc::clone(name),
            });
            let info = TaskQueueTypeInfo {
                pollers: if request.report_pollers { described.pollers } else { Vec::new() },
                stats: request.report_stats.then_some(described.stats),
            };
            (kind as i32, info)
        };
        let reachability = match request.report_task_reachability {
            true => BuildIdTaskReachability::Reachable,
            false => BuildIdTaskReachability::Unspecified,
        };
        let version = TaskQueueVersionInfo {
            types_info: kinds.into_iter().map(describe).collect(),
            task_reachability: reachability as i32,
        };
        let versions_info = HashMap::from([(UNVERSIONED.to_owned(), version)]);
        Ok(DescribeTaskQueueResponse { versions_info, ..Default::default() })
    }

    fn describe_queue(&self, key: QueueKey) -> DescribedQueue {
        let queue = self.matching.describe(&key);
        let stats = TaskQueueStats {
            approximate_backlog_count: queue.backlog as i64,
            approximate_backlog_age: wire_duration(queue.backlog_age),
            rate_limiting_active: queue.is_throttled,
            ..Default::default()
        };
        let pollers = queue.pollers.into_iter().map(|poller| PollerInfo {
            last_access_time: Some(poller.last_access.into()),
            identity: poller.identity.to_string(),
            rate_per_second: poller.tasks_per_second.unwrap_or(RATE_UNLIMITED),
            ..Default::default()
        });
        DescribedQueue { pollers: pollers.collect(), stats, tasks_per_second: queue.tasks_per_second }
    }
}

/// The rate that means no limit, as the Temporal server reports it.
const RATE_UNLIMITED: f64 = 100_000.0;

struct DescribedQueue {
    pollers: Vec<PollerInfo>,
    stats: TaskQueueStats,
    /// The rate limit of the queue.
    tasks_per_second: Option<f64>,
}

fn queue_kind(kind: TaskQueueType) -> QueueKind {
    match kind {
        TaskQueueType::Activity => QueueKind::Activity,
        TaskQueueType::Nexus => QueueKind::Nexus,
        TaskQueueType::Unspecified | TaskQueueType::Workflow => QueueKind::Workflow,
    }
}
