//! Child workflows and other workflows: commands, both parts of a child's outcome, cancellation.

use std::rc::Rc;
use std::time::Duration;

use everloop_proto::temporal::api::history::v1 as history;
use everloop_proto::temporal::api::history::v1::history_event::Attributes as Event;
use expect_test::expect;

use super::story::{Story, workflow};
use crate::client::{Target, WorkflowHandle};
use crate::data::{Arguments, Codec, DecodeError, codec, encode};
use crate::executor::LocalFuture;
use crate::raw;
use crate::workflow::*;

const SECOND: Duration = Duration::from_secs(1);

/// A workflow that never runs here.
struct Kid;

impl Workflow for Kid {
    const NAME: &'static str = "Kid";
    type Args = (u32,);
    type Output = u32;
    const ARGUMENTS: &'static dyn Arguments<Self::Args> = &(codec::<u32>("n"),);
    const OUTPUT: Codec<u32> = codec("result");
    type Handle<T: Target> = WorkflowHandle<Self, T>;

    fn new(_: &[raw::Payload]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn execute_workflow(_: Rc<Self>, (n,): Self::Args) -> LocalFuture<Result<u32, WorkflowError>> {
        Box::pin(async move { Ok(n) })
    }

    fn handlers(_: &mut Handlers<Self>) {}
}

fn kid(id: &str) -> ChildCall<Kid> {
    WorkflowCall::<Kid>::new((1,)).id(id)
}

impl Story {
    /// The event that asks for something of the workflow with this id: the last one.
    fn initiated(&self, id: &str) -> i64 {
        let is_it = |event: &&history::HistoryEvent| match &event.attributes {
            Some(Event::StartChildWorkflowExecutionInitiatedEventAttributes(it)) => it.workflow_id == id,
            Some(Event::RequestCancelExternalWorkflowExecutionInitiatedEventAttributes(it)) => {
                it.workflow_execution.as_ref().is_some_and(|execution| execution.workflow_id == id)
            }
            _ => false,
        };
        self.history.iter().rev().find(is_it).expect("it was asked for").event_id
    }

    fn child_starts(&mut self, id: &str) -> &mut Self {
        let execution = raw::WorkflowExecution { workflow_id: id.to_owned(), run_id: format!("run of {id}") };
        let initiated_event_id = self.initiated(id);
        self.add(history::ChildWorkflowExecutionStartedEventAttributes {
            initiated_event_id,
            workflow_execution: Some(execution),
            ..Default::default()
        })
    }

    fn child_completes(&mut self, initiated_event_id: i64, n: u32) -> &mut Self {
        self.add(history::ChildWorkflowExecutionCompletedEventAttributes {
            initiated_event_id,
            result: Some(raw::Payloads { payloads: vec![encode(&n).unwrap()] }),
            ..Default::default()
        })
    }

    fn cancel_is_requested(&mut self, id: &str) -> &mut Self {
        let initiated_event_id = self.initiated(id);
        self.add(history::ExternalWorkflowExecutionCancelRequestedEventAttributes {
            initiated_event_id,
            ..Default::default()
        })
    }
}

#[test]
fn a_child_is_awaited_through_its_start() {
    let mut story = workflow(|_: Rc<()>| async { Ok(kid("k").await? + 1) }).story();
    expect![["StartChildWorkflow(Kid, id k)\n"]].assert_eq(&story.task());
    let initiated = story.initiated("k");
    expect![[""]].assert_eq(&story.child_starts("k").task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.child_completes(initiated, 6).task());
}

#[test]
fn a_start_and_an_end_in_one_task_are_two_outcomes() {
    let mut story = workflow(|_: Rc<()>| async {
        let handle = kid("k").start().await?;
        assert_eq!(handle.run_id(), Some("run of k"));
        Ok(handle.result().await?)
    })
    .story();
    story.task();
    let initiated = story.initiated("k");
    expect![["CompleteWorkflow\n"]].assert_eq(&story.child_starts("k").child_completes(initiated, 6).task());
}

#[test]
fn a_start_that_fails_is_the_error_of_the_start() {
    let mut story = workflow(|_: Rc<()>| async {
        let failure = kid("k").start().await.err().ok_or(Cancelled)?;
        assert!(failure.is_already_started(), "{failure}");
        Ok(1)
    })
    .story();
    story.task();
    let initiated_event_id = story.initiated("k");
    let failed = history::StartChildWorkflowExecutionFailedEventAttributes {
        initiated_event_id,
        cause: 1,
        ..Default::default()
    };
    expect![["CompleteWorkflow\n"]].assert_eq(&story.add(failed).task());
}

#[test]
fn a_child_that_was_not_asked_for_yet_is_withdrawn() {
    let mut story = workflow(|_: Rc<()>| async {
        drop(kid("dropped").start());
        timeout(SECOND, kid("k").into_future()).await.ok();
        Ok(1)
    })
    .story();
    expect![["StartChildWorkflow(Kid, id k)\nStartTimer(1)\n"]].assert_eq(&story.task());
    story.child_starts("k");
    let initiated = story.initiated("k");
    expect![["RequestCancelChildWorkflow(k)\nCompleteWorkflow\n"]].assert_eq(&story.fire("1").task());
    assert!(initiated > 0 && story.is_closed());
}

#[test]
fn cancelling_the_workflow_waits_for_the_end_of_the_child() {
    let mut story = workflow(|_: Rc<()>| async { Ok(kid("k").await?) }).story();
    story.task();
    let initiated = story.initiated("k");
    story.child_starts("k").task();
    expect![["RequestCancelChildWorkflow(k)\n"]].assert_eq(&story.cancel().task());
    expect![[""]].assert_eq(&story.cancel_is_requested("k").task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.child_completes(initiated, 3).task());
}

#[test]
fn the_end_of_a_child_and_its_cancel_request_come_in_any_order() {
    let mut story = workflow(|_: Rc<()>| async {
        let call = kid("k").cancellation_type(ChildCancellationType::TryCancel);
        timeout(SECOND, call.into_future()).await.ok();
        sleep(SECOND).await?;
        Ok(1)
    })
    .story();
    story.task();
    let initiated = story.initiated("k");
    story.child_starts("k").task();
    expect![["RequestCancelChildWorkflow(k)\nStartTimer(2)\n"]].assert_eq(&story.fire("1").task());
    story.child_completes(initiated, 3).task();
    story.cancel_is_requested("k").task();
    expect![["CompleteWorkflow\n"]].assert_eq(&story.fire("2").task());
}

#[test]
fn another_workflow_is_cancelled_once_asked() {
    let mut story = workflow(|_: Rc<()>| async {
        external_workflow::<Kid>("k").cancel().await?;
        Ok(1)
    })
    .story();
    expect![["RequestCancelExternalWorkflow(k)\n"]].assert_eq(&story.task());
    expect![["CompleteWorkflow\n"]].assert_eq(&story.cancel_is_requested("k").task());
}

#[test]
fn the_default_id_is_random_and_the_same_on_replay() {
    let code = || workflow(|_: Rc<()>| async { Ok(WorkflowCall::<Kid>::new((1,)).await?) }).story();
    let (mut one, mut other) = (code(), code());
    let command = one.task();
    assert_eq!(command, other.task());
    assert!(command.starts_with("StartChildWorkflow(Kid, id ") && command.len() > 60, "{command}");
}
