//! Activities that another program completes.

use std::fmt;
use std::marker::PhantomData;

use everloop_proto::temporal::api::workflowservice::v1 as wire;
use serde::Serialize;

use super::client::Client;
use super::error::{HandleError, RpcCode, RpcError};
use super::handle::Untyped;
use super::rpc::Rpc;
use crate::activity::{Activity, ActivityCancelReason, ActivityErrorOf, ActivityFn, CallErrorType, TaskToken};
use crate::data::{Failure, Payloads, Walk};
use crate::errors::ActivityError;
use crate::raw;

/// Identifies an activity that has not ended. A [`TaskToken`] converts into it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActivityRef {
    /// One attempt.
    Token(TaskToken),
    /// The current attempt of an activity of a workflow.
    Id {
        /// The workflow.
        workflow_id: String,
        /// The run of the workflow; the latest one if `None`.
        run_id: Option<String>,
        /// The id of the activity in the workflow: [`ActivityInfo::activity_id`](crate::activity::ActivityInfo::activity_id), which a
        /// workflow can choose by [`ActivityCall::activity_id`](crate::ActivityCall::activity_id).
        activity_id: String,
    },
}

impl ActivityRef {
    /// The current attempt of an activity of the latest run of a workflow.
    pub fn by_id(workflow_id: impl Into<String>, activity_id: impl Into<String>) -> Self {
        Self::Id { workflow_id: workflow_id.into(), run_id: None, activity_id: activity_id.into() }
    }

    /// The same activity, in this run of the workflow. A token is not changed, because it contains its run.
    pub fn of_run(self, run: impl Into<String>) -> Self {
        match self {
            Self::Id { workflow_id, activity_id, .. } => {
                Self::Id { workflow_id, run_id: Some(run.into()), activity_id }
            }
            Self::Token(_) => self,
        }
    }
}

impl From<TaskToken> for ActivityRef {
    fn from(token: TaskToken) -> Self {
        Self::Token(token)
    }
}

impl Client {
    /// Returns the handle of an activity that this program completes, in place of its worker. The function defines the types of
    /// the result and the error. This call sends no request.
    ///
    /// ```
    /// use everloop::activity::TaskToken;
    /// use everloop::client::{ActivityRef, HandleError};
    /// use everloop::prelude::*;
    ///
    /// /// An activity of another program.
    /// #[activity]
    /// fn approve(expense: u64) -> bool;
    ///
    /// async fn approved(client: &Client, token: TaskToken) -> Result<(), HandleError> {
    ///     client.activity_handle(approve, token).complete(true).await
    /// }
    ///
    /// async fn rejected(client: &Client, order_id: &str) -> Result<(), HandleError> {
    ///     client.activity_handle(approve, ActivityRef::by_id(order_id, "approve")).complete(false).await
    /// }
    /// ```
    pub fn activity_handle<F: ActivityFn<Signature>, Signature>(
        &self,
        _activity: F,
        of: impl Into<ActivityRef>,
    ) -> AsyncActivityHandle<F::Activity> {
        AsyncActivityHandle::new(self.clone(), of.into())
    }

    /// Returns the handle of an activity whose function this program does not have.
    pub fn untyped_activity_handle(&self, of: impl Into<ActivityRef>) -> AsyncActivityHandle {
        AsyncActivityHandle::new(self.clone(), of.into())
    }
}

/// The handle of an activity whose function returned [`complete_later`](crate::ActivityContext::complete_later).
///
/// Each call fails with [`HandleError::ActivityEnded`] when the attempt is over: it was completed, has timed out, or its
/// workflow has ended.
pub struct AsyncActivityHandle<A = Untyped> {
    client: Client,
    activity: ActivityRef,
    of: PhantomData<fn() -> A>,
}

impl<A> Clone for AsyncActivityHandle<A> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.activity.clone())
    }
}

impl<A> fmt::Debug for AsyncActivityHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncActivityHandle").field("activity", &self.activity).finish_non_exhaustive()
    }
}

impl<A: Activity> AsyncActivityHandle<A> {
    /// Completes the activity with its result.
    pub async fn complete(&self, output: A::Output) -> Result<(), HandleError> {
        self.complete_with((A::OUTPUT.encode)(&output)?).await
    }

    /// Fails the attempt with an error of the activity. The error and the retry policy decide whether there is another attempt.
    pub async fn fail(&self, error: ActivityErrorOf<A>) -> Result<(), HandleError> {
        self.fail_with(A::Error::send(error).into_failure()).await
    }
}

impl AsyncActivityHandle {
    /// Completes the activity with its result.
    pub async fn complete<T: Serialize + 'static>(&self, output: &T) -> Result<(), HandleError> {
        self.complete_with(crate::data::encode(output)?).await
    }

    /// Fails the attempt. The error and the retry policy decide whether there is another one.
    pub async fn fail(&self, error: ActivityError) -> Result<(), HandleError> {
        self.fail_with(error.into_failure()).await
    }
}

/// Sends one of two requests: for the attempt of a token, or for an activity by its id.
macro_rules! send {
    ($handle:ident, $by_token:ident or $by_id:ident { $field:ident }, |$reply:pat_param| $read:expr) => {{
        let (identity, namespace) = ($handle.client.identity().to_owned(), $handle.client.namespace().to_owned());
        match $handle.activity.clone() {
            ActivityRef::Token(TaskToken(task_token)) => {
                let request = wire::$by_token { task_token, identity, namespace, $field, ..Default::default() };
                $handle.send(request).await.map(|$reply| $read)
            }
            ActivityRef::Id { workflow_id, run_id, activity_id } => {
                let run_id = run_id.unwrap_or_default();
                let ids = wire::$by_id { workflow_id, run_id, activity_id, ..Default::default() };
                let request = wire::$by_id { identity, namespace, $field, ..ids };
                $handle.send(request).await.map(|$reply| $read)
            }
        }
    }};
}

impl<A> AsyncActivityHandle<A> {
    fn new(client: Client, activity: ActivityRef) -> Self {
        Self { client, activity, of: PhantomData }
    }

    /// Reports that the activity stopped because of its cancellation. The server rejects the report unless a cancellation was
    /// requested, which [`heartbeat`](Self::heartbeat) returns.
    pub async fn cancelled<T: Serialize + 'static>(&self, details: T) -> Result<(), HandleError> {
        let details = Payloads::of(&details)?.into_wire();
        send!(self, RespondActivityTaskCanceledRequest or RespondActivityTaskCanceledByIdRequest { details }, |_| ())
    }

    /// Reports that the activity is alive, with its progress. Returns the reason to stop, if there is one.
    pub async fn heartbeat<T: Serialize + 'static>(
        &self,
        details: T,
    ) -> Result<Option<ActivityCancelReason>, HandleError> {
        let details = Payloads::of(&details)?.into_wire();
        send!(self, RecordActivityTaskHeartbeatRequest or RecordActivityTaskHeartbeatByIdRequest { details }, |reply| {
            ActivityCancelReason::from_flags(reply.cancel_requested, reply.activity_paused, reply.activity_reset)
        })
    }

    async fn complete_with(&self, output: raw::Payload) -> Result<(), HandleError> {
        let result = Some(raw::Payloads { payloads: vec![output] });
        send!(self, RespondActivityTaskCompletedRequest or RespondActivityTaskCompletedByIdRequest { result }, |_| ())
    }

    async fn fail_with(&self, failure: Failure) -> Result<(), HandleError> {
        let failure = Some(ActivityError::reportable(failure).into_wire());
        send!(self, RespondActivityTaskFailedRequest or RespondActivityTaskFailedByIdRequest { failure }, |_| ())
    }

    async fn send<R: Rpc + Walk>(&self, mut request: R) -> Result<R::Reply, HandleError> {
        self.client.encode(&mut request).await?;
        self.client.connection().call(request).await.map_err(|error| self.refused(error))
    }

    fn refused(&self, error: RpcError) -> HandleError {
        let says = |text| error.message.to_lowercase().contains(text);
        match &self.activity {
            ActivityRef::Id { workflow_id, .. } if !says("activity") && !says("already completed") => {
                HandleError::from_rpc(workflow_id, error)
            }
            _ if error.code == RpcCode::NotFound => HandleError::ActivityEnded { message: error.message },
            _ => HandleError::Rpc(error),
        }
    }
}
