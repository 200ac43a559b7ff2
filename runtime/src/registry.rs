//! The workflows and activities of one worker, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ActivityContext;
use crate::activity::{Activity, ActivityFn, FunctionActivity, MethodActivity};
use crate::data::DecodeError;
use crate::errors::ActivityError;
use crate::executor::{Definition, TypedDefinition};
use crate::raw;
use crate::tasks::SendFuture;
use crate::workflow::Workflow;

type Run = dyn Fn(ActivityContext, &[raw::Payload]) -> Result<SendFuture<Result<raw::Payload, ActivityError>>, DecodeError>
    + Send
    + Sync;

/// An activity that can be run.
#[derive(Clone)]
pub(crate) struct RegisteredActivity {
    /// Whether it needs a thread of its own while it runs.
    pub(crate) blocking: bool,
    /// Decodes the inputs and gives the body's future.
    pub(crate) run: Arc<Run>,
}

/// What a worker can run. `#[activities]` fills it.
#[derive(Default)]
pub struct Registry {
    pub(crate) workflows: BTreeMap<&'static str, Arc<dyn Definition>>,
    pub(crate) activities: BTreeMap<&'static str, RegisteredActivity>,
    /// Names that were registered twice.
    pub(crate) duplicates: Vec<&'static str>,
}

impl Registry {
    pub(crate) fn workflow<W: Workflow>(&mut self) {
        if self.workflows.insert(W::NAME, Arc::new(TypedDefinition::<W>::new())).is_some() {
            self.duplicates.push(W::NAME);
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
        let activity = RegisteredActivity { blocking: A::BLOCKING, run: Arc::new(run) };
        if self.activities.insert(A::NAME, activity).is_some() {
            self.duplicates.push(A::NAME);
        }
    }
}

/// The result of an activity as a payload. One that cannot be written fails the attempt for good: the next attempt would do
/// the work again, and most likely return the same.
pub(crate) fn encode_result<A: Activity>(result: &A::Output) -> Result<raw::Payload, ActivityError> {
    (A::OUTPUT.encode)(result).map_err(|error| {
        let error = error.of(format!("the result of activity `{}`", A::NAME));
        ActivityError::non_retryable(error.to_string()).type_name("EncodeError")
    })
}
