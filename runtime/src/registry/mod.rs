//! The workflows and activities of one worker, by name.

mod typed;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch;

pub(crate) use self::typed::TypedDefinition;

use crate::activity::{Activity, ActivityContext, ActivityFn, FunctionActivity, MethodActivity};
use crate::data::DecodeError;
use crate::errors::ActivityError;
use crate::executor::Definition;
use crate::raw;
use crate::tasks::SendFuture;
use crate::workflow::Workflow;

/// A value with activities. `#[activities] impl Payments` implements this trait.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no activities",
    label = "no `#[activities] impl` block",
    note = "write `#[activities]` on an `impl {Self}` block and `#[activity]` on its methods"
)]
pub trait Activities: Sized {
    #[doc(hidden)]
    fn register(self, registry: &mut Registry);
}

type Run = dyn Fn(ActivityContext, &[raw::Payload]) -> Result<SendFuture<Result<raw::Payload, ActivityError>>, DecodeError>
    + Send
    + Sync;

/// An activity that can be run.
#[derive(Clone)]
pub(crate) struct RegisteredActivity {
    /// Whether the activity blocks a thread while it runs.
    pub(crate) blocking: bool,
    /// Whether its heartbeats are sent while its future makes progress.
    pub(crate) auto_heartbeat: bool,
    /// Decodes the inputs and returns the body's future.
    pub(crate) run: Arc<Run>,
}

/// The workflows and activities that a worker can run. `#[activities]` fills it.
#[derive(Default)]
pub struct Registry {
    pub(crate) workflows: BTreeMap<&'static str, Arc<dyn Definition>>,
    pub(crate) activities: BTreeMap<&'static str, RegisteredActivity>,
    /// The mocks of the test environment, if there is one.
    pub(crate) mocks: Option<Arc<Mocks>>,
    /// Duplicate registrations: `workflow` or `activity`, and the name.
    pub(crate) duplicates: Vec<(&'static str, &'static str)>,
}

/// The mocks that run in place of registered activities, in all workers of a test environment. Workers see mocks
/// that are added while they run.
#[derive(Default)]
pub(crate) struct Mocks(watch::Sender<BTreeMap<&'static str, RegisteredActivity>>);

impl Mocks {
    #[cfg(feature = "embedded")]
    pub(crate) fn insert(&self, name: &'static str, mock: RegisteredActivity) {
        self.0.send_modify(|mocks| drop(mocks.insert(name, mock)));
    }
}

impl Registry {
    /// The activity of this name, or its mock.
    pub(crate) fn activity(&self, name: &str) -> Option<RegisteredActivity> {
        let mock = self.mocks.as_ref().and_then(|mocks| mocks.0.borrow().get(name).cloned());
        mock.or_else(|| self.activities.get(name).cloned())
    }

    /// The names of all activities and mocks, in order.
    pub(crate) fn activity_names(&self) -> Vec<&'static str> {
        let mut names: BTreeSet<_> = self.activities.keys().copied().collect();
        if let Some(mocks) = &self.mocks {
            names.extend(mocks.0.borrow().keys());
        }
        names.into_iter().collect()
    }

    /// Whether there is an activity or a mock.
    pub(crate) fn has_activities(&self) -> bool {
        !self.activities.is_empty() || self.mocks.as_ref().is_some_and(|mocks| !mocks.0.borrow().is_empty())
    }

    /// Waits until there is an activity or a mock; forever if the registry has neither activities nor an environment for mocks.
    pub(crate) async fn wait_for_activities(&self) {
        if !self.activities.is_empty() {
            return;
        }
        if let Some(mocks) = &self.mocks
            && mocks.0.subscribe().wait_for(|mocks| !mocks.is_empty()).await.is_ok()
        {
            return;
        }
        pending().await
    }

    pub(crate) fn workflow<W: Workflow>(&mut self) {
        if self.workflows.insert(W::NAME, Arc::new(TypedDefinition::<W>::new())).is_some() {
            self.duplicates.push(("workflow", W::NAME));
        }
    }

    pub(crate) fn function<F: ActivityFn<Signature, Activity: FunctionActivity>, Signature>(&mut self) {
        self.add::<F::Activity>(<F::Activity as FunctionActivity>::execute_activity);
    }

    /// One activity of an `#[activities]` block.
    pub fn method<A: MethodActivity>(&mut self, shared: &Arc<A::Shared>) {
        let shared = shared.clone();
        self.add::<A>(move |context, args| A::execute_activity(shared.clone(), context, args));
    }

    fn add<A: Activity>(
        &mut self,
        execute: impl Fn(ActivityContext, A::Args) -> SendFuture<Result<A::Output, ActivityError>> + Send + Sync + 'static,
    ) {
        let run = move |context: ActivityContext, inputs: &[raw::Payload]| {
            let running = execute(context, A::ARGUMENTS.decode(inputs)?);
            let result: SendFuture<_> = Box::pin(async move { encode_result::<A>(&running.await?) });
            Ok(result)
        };
        let activity =
            RegisteredActivity { blocking: A::BLOCKING, auto_heartbeat: A::AUTO_HEARTBEAT, run: Arc::new(run) };
        if self.activities.insert(A::NAME, activity).is_some() {
            self.duplicates.push(("activity", A::NAME));
        }
    }
}

/// Encodes the result of an activity. A result that does not encode fails the activity without retries: the next attempt
/// would repeat the work, and most likely return the same.
pub(crate) fn encode_result<A: Activity>(result: &A::Output) -> Result<raw::Payload, ActivityError> {
    (A::OUTPUT.encode)(result).map_err(|error| {
        let error = error.of(format!("the result of activity `{}`", A::NAME));
        ActivityError::non_retryable(error.to_string()).type_name("EncodeError")
    })
}
