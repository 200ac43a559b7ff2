//! Continuing as new: the end of a run that hands over to the next one.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use everloop_proto::temporal::api::command::v1::ContinueAsNewWorkflowExecutionCommandAttributes;
use serde::Serialize;

use super::definition::{Workflow, WorkflowCall};
use crate::data::{EncodeError, OptionError, Payloads, check_limit, duration_to_wire, encode};
use crate::executor::current::current;
use crate::executor::{WorkflowInfo, WorkflowOnly};
use crate::raw;

/// Ends this run and continues the workflow in a new one, with a history that begins anew: awaiting it never returns.
///
/// So a workflow can go on for ever. It needs no other output than the workflow's own, and stands where a `return` would:
///
/// ```
/// use everloop::prelude::*;
///
/// #[workflow]
/// #[derive(Default)]
/// pub struct Subscription {}
///
/// #[workflow]
/// impl Subscription {
///     /// Sends a bill every thirty days.
///     #[run]
///     async fn run(&self, bills_sent: u32) -> WorkflowResult<u32> {
///         let mut bills = bills_sent;
///         while bills < 120 {
///             sleep(Duration::from_secs(30 * 24 * 3600)).await?;
///             bills += 1;
///             if workflow::info().continue_as_new_suggested {
///                 return continue_as_new(Self::run(bills)).await;
///             }
///         }
///         Ok(bills)
///     }
/// }
/// ```
///
/// The new run has the id of the workflow, and its handles, results and signals follow it. It inherits the task queue, the
/// timeouts, the retry policy, the schedule, the memo, the search attributes and the headers; all of the workflow's runs share one execution timeout. It
/// begins with its `#[init]` or `Default`: state that it needs goes into the arguments, which may be those of another
/// workflow.
///
/// Everything that this run still waits for is dropped: timers, activities, handlers. Wait for
/// [`all_handlers_finished`](crate::workflow::all_handlers_finished) before. A signal that arrives meanwhile is not lost: this run
/// gets it first. It may be called in any code of the workflow; the first to end the run wins.
///
/// # Panics
/// Outside a workflow, when awaited. The panic fails the workflow task where an argument or memo cannot be serialized or a
/// timeout is zero.
#[track_caller]
pub fn continue_as_new<W: Workflow, T>(call: WorkflowCall<W>) -> ContinueAsNew<T> {
    ContinueAsNew::new(W::NAME.to_owned(), W::ARGUMENTS.encode(&call.args), Location::caller())
}

/// As [`continue_as_new`], for a workflow that this program knows by name only.
#[track_caller]
pub fn continue_as_new_untyped<T>(workflow_type: impl Into<String>, input: Payloads) -> ContinueAsNew<T> {
    ContinueAsNew::new(workflow_type.into(), Ok(input.into_raw()), Location::caller())
}

/// See [`continue_as_new`].
#[must_use = "the workflow continues as new when this is awaited: `return continue_as_new(..).await`"]
pub struct ContinueAsNew<T> {
    /// Until the first poll.
    next: Option<Box<Next>>,
    site: &'static Location<'static>,
    _output: PhantomData<fn() -> T>,
    _only: WorkflowOnly,
}

/// The next run.
struct Next {
    workflow_type: String,
    input: Result<Vec<raw::Payload>, EncodeError>,
    task_queue: Option<String>,
    run_timeout: Option<Duration>,
    task_timeout: Option<Duration>,
    start_delay: Option<Duration>,
    memo: BTreeMap<String, raw::Payload>,
    /// The first value that could not be serialized.
    misfit: Option<EncodeError>,
}

impl<T> ContinueAsNew<T> {
    fn new(
        workflow_type: String,
        input: Result<Vec<raw::Payload>, EncodeError>,
        site: &'static Location<'static>,
    ) -> Self {
        let next = Next {
            workflow_type,
            input,
            task_queue: None,
            run_timeout: None,
            task_timeout: None,
            start_delay: None,
            memo: BTreeMap::new(),
            misfit: None,
        };
        Self { next: Some(Box::new(next)), site, _output: PhantomData, _only: PhantomData }
    }

    fn set(mut self, set: impl FnOnce(&mut Next)) -> Self {
        if let Some(next) = &mut self.next {
            set(next);
        }
        self
    }

    /// The queue whose workers run it. That of this run unless set.
    pub fn task_queue(self, name: impl Into<String>) -> Self {
        self.set(|next| next.task_queue = Some(name.into()))
    }

    /// How long the new run may take. As long as this one unless set.
    pub fn run_timeout(self, limit: Duration) -> Self {
        self.set(|next| next.run_timeout = Some(limit))
    }

    /// How long a worker may take for one workflow task, before another one gets it. As long as now unless set.
    pub fn task_timeout(self, limit: Duration) -> Self {
        self.set(|next| next.task_timeout = Some(limit))
    }

    /// How long to wait before the new run begins: a hundred years at most.
    pub fn start_delay(self, delay: Duration) -> Self {
        self.set(|next| next.start_delay = Some(delay))
    }

    /// Adds a value that lists and descriptions show, beside those of this run or in place of the one with that name.
    pub fn memo<V: Serialize + 'static>(self, name: impl Into<String>, value: &V) -> Self {
        let name = name.into();
        self.set(|next| match encode(value) {
            Ok(value) => drop(next.memo.insert(name, value)),
            Err(error) => drop(next.misfit.get_or_insert(error.of(format!("memo `{name}`")))),
        })
    }
}

impl<T> Future for ContinueAsNew<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        if let Some(next) = self.next.take() {
            let core = current("continue_as_new", "a client starts workflows with `client.start(..)`");
            core.continue_as_new(|info| next.command(info), self.site);
        }
        // The run ends before anything could wake it.
        Poll::Pending
    }
}

impl<T> fmt::Debug for ContinueAsNew<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workflow_type = self.next.as_ref().map(|next| &next.workflow_type);
        f.debug_struct("ContinueAsNew").field("workflow_type", &workflow_type).finish_non_exhaustive()
    }
}

/// The reason why a run cannot begin as it is wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidNext {
    #[error(transparent)]
    Value(#[from] EncodeError),
    #[error(transparent)]
    Option(#[from] OptionError),
}

impl Next {
    fn command(self, info: &WorkflowInfo) -> Result<Box<ContinueAsNewWorkflowExecutionCommandAttributes>, InvalidNext> {
        check_limit("run_timeout", self.run_timeout)?;
        check_limit("task_timeout", self.task_timeout)?;
        let input = self.input?;
        if let Some(misfit) = self.misfit {
            return Err(misfit.into());
        }
        let duration = |limit: Option<Duration>| limit.map(duration_to_wire);
        let mut memo = info.memo.clone();
        memo.extend(self.memo);
        let some = |fields: BTreeMap<String, raw::Payload>| {
            (!fields.is_empty()).then(|| fields.into_iter().collect::<HashMap<_, _>>())
        };
        let task_queue = self.task_queue.unwrap_or_else(|| info.task_queue.clone());
        Ok(Box::new(ContinueAsNewWorkflowExecutionCommandAttributes {
            workflow_type: Some(raw::WorkflowType { name: self.workflow_type }),
            task_queue: Some(raw::TaskQueue { name: task_queue, ..Default::default() }),
            input: (!input.is_empty()).then_some(raw::Payloads { payloads: input }),
            workflow_run_timeout: duration(self.run_timeout),
            workflow_task_timeout: duration(self.task_timeout),
            backoff_start_interval: duration(self.start_delay),
            retry_policy: info.retry_policy.clone(),
            cron_schedule: info.cron_schedule.clone().unwrap_or_default(),
            last_completion_result: info.last_result.clone().into_wire(),
            header: some(info.headers.clone()).map(|fields| raw::Header { fields }),
            memo: some(memo).map(|fields| raw::Memo { fields }),
            search_attributes: some(info.search_attributes.clone())
                .map(|indexed_fields| raw::SearchAttributes { indexed_fields }),
            ..Default::default()
        }))
    }
}
