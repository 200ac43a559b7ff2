//! The worker's half of the driver: polls, completions and reports of workflow tasks and activities.

use everloop_proto::temporal::api::{
    command::v1::{Command, StartChildWorkflowExecutionCommandAttributes, command::Attributes},
    common::v1::Payloads,
    enums::v1::{TaskQueueType, WorkflowTaskFailedCause},
    failure::v1::Failure,
    taskqueue::v1::{StickyExecutionAttributes, TaskQueue},
    workflowservice::v1 as service,
};
use tonic::Status;

use super::{ActivityTask, Later, NAMESPACE, Script, WorkflowTask, before_asking_again};
use crate::conformance::{
    commands::{complete_workflow, failure, protocol_message, seconds, start_child, text},
    messages::{acceptance, response},
};

impl Script {
    // A worker.

    pub(in crate::conformance) fn poll_request(&self) -> service::PollWorkflowTaskQueueRequest {
        service::PollWorkflowTaskQueueRequest {
            namespace: NAMESPACE.into(),
            task_queue: self.queue(),
            identity: "worker".into(),
            ..Default::default()
        }
    }

    /// Waits for a workflow task on the normal queue.
    pub(in crate::conformance) async fn poll(&mut self) -> WorkflowTask {
        let request = self.poll_request();
        self.some_task("poll", request).await
    }

    /// Waits for a workflow task on the worker's own queue.
    pub(in crate::conformance) async fn poll_sticky(&mut self) -> WorkflowTask {
        let mut request = self.poll_request();
        request.task_queue = self.sticky_queue();
        self.some_task("poll sticky", request).await
    }

    /// Polls the worker's own queue; returns once the server knows of the poll.
    pub(in crate::conformance) async fn poll_sticky_later(&mut self) -> Later<service::PollWorkflowTaskQueueRequest> {
        let mut request = self.poll_request();
        request.task_queue = self.sticky_queue();
        let poll = self.later(request);
        let describe = service::DescribeTaskQueueRequest {
            namespace: NAMESPACE.into(),
            task_queue: self.sticky_queue(),
            task_queue_type: TaskQueueType::Workflow.into(),
            ..Default::default()
        };
        while self.quietly(describe.clone()).await.is_ok_and(|reply| reply.pollers.is_empty()) {
            before_asking_again().await;
        }
        poll
    }

    async fn some_task(&mut self, title: &str, request: service::PollWorkflowTaskQueueRequest) -> WorkflowTask {
        let task = self.call_as(title, request).await;
        assert!(!task.task_token.is_empty(), "no workflow task came\n{}", self.transcript());
        task
    }

    pub(in crate::conformance) fn complete_request(
        &self,
        task: &WorkflowTask,
        commands: impl Into<Vec<Command>>,
    ) -> service::RespondWorkflowTaskCompletedRequest {
        let mut commands = commands.into();
        for command in &mut commands {
            if let Some(Attributes::ScheduleActivityTaskCommandAttributes(activity)) = &mut command.attributes {
                activity.task_queue = activity.task_queue.take().or_else(|| self.queue());
            }
        }
        service::RespondWorkflowTaskCompletedRequest {
            namespace: NAMESPACE.into(),
            task_token: task.task_token.clone(),
            commands,
            identity: "worker".into(),
            ..Default::default()
        }
    }

    pub(in crate::conformance) async fn complete(&mut self, task: &WorkflowTask, commands: impl Into<Vec<Command>>) {
        self.complete_with(task, commands, |_| {}).await;
    }

    pub(in crate::conformance) async fn complete_with(
        &mut self,
        task: &WorkflowTask,
        commands: impl Into<Vec<Command>>,
        edit: impl FnOnce(&mut service::RespondWorkflowTaskCompletedRequest),
    ) -> service::RespondWorkflowTaskCompletedResponse {
        let mut request = self.complete_request(task, commands);
        edit(&mut request);
        let commands: Vec<_> = request.commands.iter().map(|command| format!("{:?}", command.command_type())).collect();
        let title = format!("complete [{}]", commands.join(", "));
        self.call_as(&title, request).await
    }

    /// Completes a task with invalid commands, which the server must reject.
    pub(in crate::conformance) async fn complete_refused(
        &mut self,
        task: &WorkflowTask,
        commands: impl Into<Vec<Command>>,
    ) -> Status {
        let request = self.complete_request(task, commands);
        self.refused(request).await
    }

    /// Tries each command in a workflow of its own, and records the rejection.
    pub(in crate::conformance) async fn each_refused(&mut self, commands: impl IntoIterator<Item = Command>) {
        for (number, command) in commands.into_iter().enumerate() {
            let workflow = format!("wf-{number}");
            self.start(&workflow).await;
            let task = self.poll().await;
            self.complete_refused(&task, [command]).await;
            self.history(&workflow).await;
            self.task([complete_workflow()]).await;
        }
    }

    /// Polls and completes the next task of the normal queue with these commands.
    pub(in crate::conformance) async fn task(&mut self, commands: impl Into<Vec<Command>>) -> WorkflowTask {
        let task = self.poll().await;
        self.complete(&task, commands).await;
        task
    }

    /// The queue of children, apart from that of their parents.
    pub(in crate::conformance) fn child_queue(&self) -> Option<TaskQueue> {
        Some(TaskQueue { name: self.name("children"), ..TaskQueue::default() })
    }

    /// A command that starts a child on the queue of children.
    pub(in crate::conformance) fn child(
        &self,
        name: &str,
        edit: impl FnOnce(&mut StartChildWorkflowExecutionCommandAttributes),
    ) -> Command {
        start_child(self.name(name), |it| {
            it.task_queue = self.child_queue();
            edit(it);
        })
    }

    /// Waits for a workflow task of a child.
    pub(in crate::conformance) async fn poll_child(&mut self) -> WorkflowTask {
        let mut request = self.poll_request();
        request.task_queue = self.child_queue();
        self.some_task("poll of a child", request).await
    }

    /// Polls and completes the next task of a child with these commands.
    pub(in crate::conformance) async fn child_task(&mut self, commands: impl Into<Vec<Command>>) -> WorkflowTask {
        let task = self.poll_child().await;
        self.complete(&task, commands).await;
        task
    }

    /// Accepts and completes every update of the task, followed by these commands.
    pub(in crate::conformance) async fn accept_and_complete(
        &mut self,
        task: &WorkflowTask,
        then: impl Into<Vec<Command>>,
    ) {
        let messages: Vec<_> =
            task.messages.iter().flat_map(|request| [acceptance(request), response(request)]).collect();
        let mut commands: Vec<_> = messages.iter().map(|message| protocol_message(&message.id)).collect();
        commands.extend(then.into());
        self.complete_with(task, commands, |it| it.messages = messages).await;
    }

    /// Requests that following tasks are sent to the worker's own queue, with this timeout.
    pub(in crate::conformance) fn sticky(&self, wait: i64) -> Option<StickyExecutionAttributes> {
        let worker_task_queue = self.sticky_queue();
        Some(StickyExecutionAttributes { worker_task_queue, schedule_to_start_timeout: seconds(wait) })
    }

    pub(in crate::conformance) fn fail_request(
        &self,
        task: &WorkflowTask,
    ) -> service::RespondWorkflowTaskFailedRequest {
        service::RespondWorkflowTaskFailedRequest {
            namespace: NAMESPACE.into(),
            task_token: task.task_token.clone(),
            cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure.into(),
            failure: failure("the workflow panicked"),
            identity: "worker".into(),
            ..Default::default()
        }
    }

    pub(in crate::conformance) async fn fail(&mut self, task: &WorkflowTask) {
        let request = self.fail_request(task);
        self.call_as("fail", request).await;
    }

    /// Responds to a query that has a task of its own.
    pub(in crate::conformance) fn answer_request(
        &self,
        task: &WorkflowTask,
    ) -> service::RespondQueryTaskCompletedRequest {
        service::RespondQueryTaskCompletedRequest {
            namespace: NAMESPACE.into(),
            task_token: task.task_token.clone(),
            completed_type: everloop_proto::temporal::api::enums::v1::QueryResultType::Answered.into(),
            query_result: Some(text("answer")),
            ..Default::default()
        }
    }

    // An activity worker.

    pub(in crate::conformance) fn poll_activity_request(&self) -> service::PollActivityTaskQueueRequest {
        service::PollActivityTaskQueueRequest {
            namespace: NAMESPACE.into(),
            task_queue: self.queue(),
            identity: "activity worker".into(),
            ..Default::default()
        }
    }

    pub(in crate::conformance) async fn poll_activity(&mut self) -> ActivityTask {
        let request = self.poll_activity_request();
        let task = self.call_as("poll activity", request).await;
        assert!(!task.task_token.is_empty(), "no activity task came\n{}", self.transcript());
        task
    }

    /// Waits for two activity tasks, and returns them in the order of their ids: a queue may deliver them in any.
    pub(in crate::conformance) async fn poll_two_activities(&mut self) -> [ActivityTask; 2] {
        let request = self.poll_activity_request();
        let first = self.quietly(request.clone()).await.expect("a poll");
        let second = self.quietly(request).await.expect("a poll");
        let mut both = [first, second];
        both.sort_by(|one, other| one.activity_id.cmp(&other.activity_id));
        self.note(&format!("polled activities {} and {}", both[0].activity_id, both[1].activity_id));
        both
    }

    pub(in crate::conformance) fn complete_activity_request(
        &self,
        task: &ActivityTask,
    ) -> service::RespondActivityTaskCompletedRequest {
        service::RespondActivityTaskCompletedRequest {
            namespace: NAMESPACE.into(),
            task_token: task.task_token.clone(),
            result: Some(text("done")),
            identity: "activity worker".into(),
            ..Default::default()
        }
    }

    pub(in crate::conformance) async fn complete_activity(&mut self, task: &ActivityTask) {
        let request = self.complete_activity_request(task);
        self.call_as("complete activity", request).await;
    }

    pub(in crate::conformance) fn fail_activity_request(
        &self,
        task: &ActivityTask,
        failure: Option<Failure>,
    ) -> service::RespondActivityTaskFailedRequest {
        service::RespondActivityTaskFailedRequest {
            namespace: NAMESPACE.into(),
            task_token: task.task_token.clone(),
            failure,
            identity: "activity worker".into(),
            ..Default::default()
        }
    }

    pub(in crate::conformance) async fn fail_activity(&mut self, task: &ActivityTask, failure: Option<Failure>) {
        let request = self.fail_activity_request(task, failure);
        self.call_as("fail activity", request).await;
    }

    pub(in crate::conformance) fn cancel_activity_request(
        &self,
        task: &ActivityTask,
    ) -> service::RespondActivityTaskCanceledRequest {
        service::RespondActivityTaskCanceledRequest {
            namespace: NAMESPACE.into(),
            task_token: task.task_token.clone(),
            details: Some(text("cancelled details")),
            identity: "activity worker".into(),
            ..Default::default()
        }
    }

    pub(in crate::conformance) fn heartbeat_request(
        &self,
        task: &ActivityTask,
        details: Option<Payloads>,
    ) -> service::RecordActivityTaskHeartbeatRequest {
        service::RecordActivityTaskHeartbeatRequest {
            namespace: NAMESPACE.into(),
            task_token: task.task_token.clone(),
            details,
            identity: "activity worker".into(),
            ..Default::default()
        }
    }

    pub(in crate::conformance) async fn heartbeat(&mut self, task: &ActivityTask, details: &str) {
        let request = self.heartbeat_request(task, Some(text(details)));
        self.call_as("heartbeat", request).await;
    }
}
