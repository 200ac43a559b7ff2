//! Workflows made of closures, and the activity that they call.

use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::activity::{Activity, ActivityCall};
use crate::data::{ActivityOptions, Arguments, Codec, DecodeError, Headers, UnfinishedPolicy, codec, encode};
use crate::errors::{ActivityFailure, WorkflowError};
use crate::executor::{Definition, Instance, LocalFuture, Started};
use crate::raw;

/// The activity of the stories: takes and gives a number.
pub(crate) enum Work {}

impl Activity for Work {
    const NAME: &'static str = "work";
    type Args = (u32,);
    type Output = u32;
    type Error = ActivityFailure;
    const ARGUMENTS: &'static dyn Arguments<Self::Args> = &(codec::<u32>("n"),);
    const OUTPUT: Codec<u32> = codec("result");
    const OPTIONS: ActivityOptions = ActivityOptions::new().start_to_close_timeout(Duration::from_secs(60));
}

#[track_caller]
pub(crate) fn work(n: u32) -> ActivityCall<Work> {
    ActivityCall::new((n,))
}

type RunFn<S> = Box<dyn Fn(Rc<S>) -> LocalFuture<Result<u32, WorkflowError>> + Send + Sync>;
type SignalFn<S> = Box<dyn Fn(Rc<S>, u32) -> LocalFuture<Result<(), WorkflowError>> + Send + Sync>;
type UpdateFn<S> = Box<dyn Fn(Rc<S>, u32) -> LocalFuture<Result<u32, WorkflowError>> + Send + Sync>;
type ValidateFn<S> = Box<dyn Fn(&S, u32) -> Result<(), WorkflowError> + Send + Sync>;
type QueryFn<S> = Box<dyn Fn(&S) -> u32 + Send + Sync>;

/// A workflow type made of closures over its state.
pub(crate) struct Scripted<S> {
    run: RunFn<S>,
    signals: BTreeMap<&'static str, SignalFn<S>>,
    updates: BTreeMap<&'static str, (ValidateFn<S>, UpdateFn<S>)>,
    queries: BTreeMap<&'static str, QueryFn<S>>,
}

pub(crate) fn workflow<S: Default + 'static, F>(run: impl Fn(Rc<S>) -> F + Send + Sync + 'static) -> Scripted<S>
where
    F: Future<Output = Result<u32, WorkflowError>> + 'static,
{
    let run: RunFn<S> = Box::new(move |state| Box::pin(run(state)));
    Scripted { run, signals: BTreeMap::new(), updates: BTreeMap::new(), queries: BTreeMap::new() }
}

impl<S: Default + 'static> Scripted<S> {
    pub(crate) fn signal<F>(
        mut self,
        name: &'static str,
        handler: impl Fn(Rc<S>, u32) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), WorkflowError>> + 'static,
    {
        self.signals.insert(name, Box::new(move |state, n| Box::pin(handler(state, n))));
        self
    }

    pub(crate) fn update<F>(
        mut self,
        name: &'static str,
        validator: impl Fn(&S, u32) -> Result<(), WorkflowError> + Send + Sync + 'static,
        handler: impl Fn(Rc<S>, u32) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<u32, WorkflowError>> + 'static,
    {
        let handler: UpdateFn<S> = Box::new(move |state, n| Box::pin(handler(state, n)));
        self.updates.insert(name, (Box::new(validator), handler));
        self
    }

    pub(crate) fn query(mut self, name: &'static str, answer: impl Fn(&S) -> u32 + Send + Sync + 'static) -> Self {
        self.queries.insert(name, Box::new(answer));
        self
    }

    pub(super) fn into_definition(self) -> Arc<dyn Definition> {
        Arc::new(Shared(Arc::new(self)))
    }
}

struct Shared<S>(Arc<Scripted<S>>);

impl<S: Default + 'static> Definition for Shared<S> {
    fn name(&self) -> &'static str {
        "Scripted"
    }
    fn instantiate(&self, _: &[raw::Payload]) -> Result<Rc<dyn Instance>, DecodeError> {
        Ok(Rc::new(Live { state: Rc::new(S::default()), script: self.0.clone() }))
    }
}

struct Live<S> {
    state: Rc<S>,
    script: Arc<Scripted<S>>,
}

fn number(input: &[raw::Payload]) -> Result<u32, DecodeError> {
    (codec::<u32>("n"),).decode(input).map(|(n,)| n)
}

impl<S: 'static> Instance for Live<S> {
    fn run(
        &self,
        _: &[raw::Payload],
        _: &Headers,
    ) -> Result<LocalFuture<Result<raw::Payload, WorkflowError>>, DecodeError> {
        let running = (self.script.run)(self.state.clone());
        Ok(Box::pin(async move { Ok(encode(&running.await?)?) }))
    }
    fn signal(&self, name: &str, input: &[raw::Payload], _: &Headers) -> Option<Started<()>> {
        let handler = self.script.signals.get(name)?;
        Some(number(input).map(|n| (handler(self.state.clone(), n), UnfinishedPolicy::Warn)))
    }
    fn query(&self, name: &str, _: &[raw::Payload], _: &Headers) -> Option<Result<raw::Payload, WorkflowError>> {
        let answer = self.script.queries.get(name)?(&self.state);
        Some(encode(&answer).map_err(Into::into))
    }
    fn validate(&self, name: &str, input: &[raw::Payload], _: &Headers) -> Option<Result<(), WorkflowError>> {
        let (validator, _) = self.script.updates.get(name)?;
        Some(number(input).map_err(Into::into).and_then(|n| validator(&self.state, n)))
    }
    fn update(&self, name: &str, input: &[raw::Payload], _: &Headers) -> Option<Started<raw::Payload>> {
        let (_, handler) = self.script.updates.get(name)?;
        Some(number(input).map(|n| {
            let running = handler(self.state.clone(), n);
            let answer: LocalFuture<_> = Box::pin(async move { Ok(encode(&running.await?)?) });
            (answer, UnfinishedPolicy::Warn)
        }))
    }
    fn signal_names(&self) -> Vec<&'static str> {
        self.script.signals.keys().copied().collect()
    }
    fn query_names(&self) -> Vec<&'static str> {
        self.script.queries.keys().copied().collect()
    }
    fn update_names(&self) -> Vec<&'static str> {
        self.script.updates.keys().copied().collect()
    }
    fn workflow(&self) -> Rc<dyn Any> {
        self.state.clone()
    }
}
