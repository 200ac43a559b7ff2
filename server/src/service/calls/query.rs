//! Queries of callers, by every route to a worker.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use tonic::{Code, Status};

use crate::api::common::Payloads;
use crate::api::enums::QueryResultType;
use crate::api::errordetails::QueryFailedFailure;
use crate::api::failure::Failure;
use crate::api::query::{QueryRejected, WorkflowQuery};
use crate::api::workflowservice::{QueryWorkflowRequest, QueryWorkflowResponse};
use crate::clock::ClockHolder;
use crate::engine::error::Refusal;
use crate::engine::query::{QueryRoute, rejects};
use crate::engine::start::check_name;
use crate::engine::state::Sticky;
use crate::matching::{QueueKey, QueueKind};
use crate::model::RunStatus;
use crate::namespaces::Namespace;
use crate::service::calls::call::{Call, Waited};
use crate::service::calls::direct::PendingQuery;
use crate::service::calls::history::execution;
use crate::service::calls::known::known;
use crate::service::core::Core;
use crate::service::runs::lookup::Located;
use crate::service::runs::open::QueryNotice;
use crate::service::runs::slot::SlotKey;
use crate::service::runs::task::Task;
use crate::status::with_detail;
use crate::stop::stopped;

/// The route of a query, chosen under the run's lock.
enum Plan {
    Rejected(RunStatus),
    Ride { run_id: Arc<str>, id: u64, news: oneshot::Receiver<QueryNotice> },
    Ask(Route),
}

/// The queues for a direct query.
struct Route {
    run_id: Arc<str>,
    task_queue: Arc<str>,
    sticky: Option<Sticky>,
}

impl Core {
    pub(in crate::service) async fn query_workflow(
        self: &Arc<Self>,
        request: QueryWorkflowRequest,
        call: Call,
    ) -> Result<QueryWorkflowResponse, Status> {
        let namespace = self.namespaces.find(&request.namespace)?;
        let (workflow_id, mut run_id) = execution(request.execution.as_ref())?;
        let condition = known("query_reject_condition", request.query_reject_condition)?;
        let query = request.query.ok_or_else(|| Refusal::invalid("Query is not set on request."))?;
        check_name("QueryType", &query.query_type)?;
        crate::service::calls::signal::check_input(query.query_args.as_ref())?;
        let until = call.deadline.call();
        let _hold = self.timers.hold(ClockHolder::Query);
        loop {
            let plan = self
                .with_run(&namespace, &workflow_id, &run_id, |located| {
                    let status = match &located {
                        Located::Open(..) => RunStatus::Running,
                        Located::Closed(closed) => closed.row.status,
                    };
                    if rejects(condition, status) {
                        return Ok(Plan::Rejected(status));
                    }
                    plan(located, &query)
                })
                .await?;
            match plan {
                Plan::Rejected(status) => {
                    let query_rejected = Some(QueryRejected { status: status.number() });
                    return Ok(QueryWorkflowResponse { query_rejected, ..Default::default() });
                }
                Plan::Ask(route) => {
                    let answer = self.ask(&namespace, &workflow_id, route, query, until, &call).await;
                    // The worker may have seen state that is not committed yet.
                    self.store.caught_up().await?;
                    return answer;
                }
                Plan::Ride { run_id: of, id, news } => {
                    let ride = Ride { core: self, namespace: &namespace, workflow_id: &workflow_id, run_id: &of, id };
                    match call.wait(until, news).await {
                        Waited::For(Ok(QueryNotice::Answered(result))) => {
                            self.store.caught_up().await?;
                            let kind = result.result_type();
                            return reply(kind, result.answer, result.error_message, result.failure);
                        }
                        Waited::For(Ok(QueryNotice::Released)) => {}
                        Waited::For(Err(_)) => return Err(lost()),
                        Waited::InVain => return Err(expired()),
                        Waited::Stopped => return Err(stopped()),
                    }
                    drop(ride);
                    run_id = of.to_string();
                }
            }
        }
    }

    /// Sends a direct query: first to the worker that has the run cached, then to any worker.
    async fn ask(
        self: &Arc<Self>,
        namespace: &Arc<Namespace>,
        workflow_id: &str,
        route: Route,
        query: WorkflowQuery,
        until: Instant,
        call: &Call,
    ) -> Result<QueryWorkflowResponse, Status> {
        let run_id = route.run_id.to_string();
        let new = |queue: &QueueKey, query| {
            let namespace = Arc::clone(&namespace.name);
            PendingQuery::new(self, queue.clone(), namespace, workflow_id.to_owned(), run_id.clone(), query)
        };
        let key = |kind, name| QueueKey { namespace: namespace.key, kind, name };
        if let Some(sticky) = &route.sticky {
            let key = key(QueueKind::Sticky, Arc::clone(&sticky.queue));
            let mut asked = new(&key, query.clone());
            if self.matching.offer_sticky(&key, Task::Query(Arc::clone(&asked.query))).is_ok() {
                let limit = until.min(Instant::now() + sticky.schedule_to_start);
                match call.wait(limit, &mut asked.answer).await {
                    Waited::For(Ok(answer)) => {
                        let kind = answer.completed_type();
                        return reply(kind, answer.query_result, answer.error_message, answer.failure);
                    }
                    Waited::InVain if limit == until => return Err(expired()),
                    // The worker has gone or does not answer.
                    Waited::For(Err(_)) | Waited::InVain => {}
                    Waited::Stopped => return Err(stopped()),
                }
            }
            self.forget_sticky(namespace, workflow_id, &run_id, &sticky.queue).await;
        }
        let key = key(QueueKind::Workflow, route.task_queue);
        let mut asked = new(&key, query);
        self.matching.offer(&key, Task::Query(Arc::clone(&asked.query)));
        match call.wait(until, &mut asked.answer).await {
            Waited::For(Ok(answer)) => {
                let kind = answer.completed_type();
                reply(kind, answer.query_result, answer.error_message, answer.failure)
            }
            Waited::For(Err(_)) => Err(lost()),
            Waited::InVain => Err(expired()),
            Waited::Stopped => Err(stopped()),
        }
    }

    /// Clears the sticky queue, because its worker does not answer: the next tasks go to the normal queue.
    async fn forget_sticky(self: &Arc<Self>, namespace: &Namespace, workflow_id: &str, run_id: &str, queue: &str) {
        let forgotten = self.change_run(namespace, workflow_id, run_id, |open, _| {
            if open.run.has_sticky_queue(queue) {
                open.run.clear_sticky();
            }
            Ok(())
        });
        // A run that has closed meanwhile has no sticky queue.
        drop(forgotten.await);
    }
}

fn plan(located: Located<'_>, query: &WorkflowQuery) -> Result<Plan, Status> {
    match located {
        Located::Open(_, open) => {
            let run_id = Arc::clone(&open.run.info.run_id);
            Ok(match open.run.route_query(query)? {
                QueryRoute::Direct => Plan::Ask(Route {
                    run_id,
                    task_queue: Arc::clone(&open.run.info.task_queue),
                    sticky: open.run.state.sticky.clone(),
                }),
                QueryRoute::Riding(id) => Plan::Ride { run_id, id, news: open.wait_for_query(id) },
            })
        }
        Located::Closed(closed) => {
            if closed.state()?.previous_started_event_id == 0 {
                let reason = "The workflow closed before its first workflow task completed, so it cannot be queried.";
                return Err(Refusal::NotReady(reason.to_owned()).into());
            }
            Ok(Plan::Ask(Route {
                run_id: Arc::clone(&closed.row.run_id),
                task_queue: Arc::clone(&closed.row.task_queue),
                sticky: None,
            }))
        }
    }
}

/// A query that is attached to a workflow task; dropping it withdraws the query.
struct Ride<'a> {
    core: &'a Arc<Core>,
    namespace: &'a Namespace,
    workflow_id: &'a str,
    run_id: &'a str,
    id: u64,
}

impl Drop for Ride<'_> {
    fn drop(&mut self) {
        let key = SlotKey { namespace: self.namespace.key, workflow_id: self.workflow_id.into() };
        // A run that is gone has dropped the query already.
        let _ = self.core.with_run_in_memory(&key, self.run_id, |located| {
            if let Located::Open(_, open) = located {
                open.forget_query(self.id);
            }
            Ok(())
        });
    }
}

fn reply(
    kind: QueryResultType,
    answer: Option<Payloads>,
    message: String,
    failure: Option<Failure>,
) -> Result<QueryWorkflowResponse, Status> {
    if kind == QueryResultType::Answered {
        return Ok(QueryWorkflowResponse { query_result: answer, ..Default::default() });
    }
    Err(with_detail(Code::InvalidArgument, message, &QueryFailedFailure { failure }))
}

fn lost() -> Status {
    Status::unavailable("the query was lost")
}

fn expired() -> Status {
    Status::deadline_exceeded("query timed out before a worker could process it")
}
