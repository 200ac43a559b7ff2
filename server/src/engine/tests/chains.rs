//! Runs that follow each other.

use super::*;
use crate::api::command::ContinueAsNewWorkflowExecutionCommandAttributes;
use crate::engine::effects::{Effects, Successor};

fn continue_as_new(backoff: Duration) -> Command {
    let attributes = ContinueAsNewWorkflowExecutionCommandAttributes {
        backoff_start_interval: wire_duration(backoff),
        ..Default::default()
    };
    command(
        CommandType::ContinueAsNewWorkflowExecution,
        CommandAttributes::ContinueAsNewWorkflowExecutionCommandAttributes(Box::new(attributes)),
    )
}

impl Story {
    /// Completes the current task; returns all effects.
    fn effects_of(&mut self, request: RespondWorkflowTaskCompletedRequest) -> Effects {
        let task = self.take();
        self.run.complete_workflow_task(task, request, &mut || Arc::from("next"), self.now).unwrap();
        self.run.close_transaction(self.now, Close::KeepSpeculative)
    }

    /// Continues as new `after` the first task became due.
    fn continued(&mut self, after: Duration, backoff: Duration) -> Successor {
        self.now = self.now + after;
        let commands = vec![continue_as_new(backoff)];
        let effects = self.effects_of(RespondWorkflowTaskCompletedRequest { commands, ..Default::default() });
        *effects.successor.expect("a run follows")
    }
}

/// Begins the successor; returns when its first task is due, counted from its start.
fn due(successor: Successor, interval_min: Duration) -> Duration {
    let run = Run::follow(successor, "request".into(), interval_min).unwrap();
    assert_eq!(run.state.workflow_task.is_some(), run.info.execution_time == run.info.start_time);
    run.info.execution_time.since(run.info.start_time)
}

#[test]
fn a_successor_waits_for_the_rest_of_the_least_interval() {
    let seconds = Duration::from_secs;
    for (after, backoff, interval, expected) in [
        (0, 0, 0, 0),
        (0, 7, 0, 7),
        (0, 0, 10, 10),
        (4, 0, 10, 6),
        (10, 0, 10, 0),
        // The requested time counts as a part of the interval.
        (4, 5, 10, 6),
        (4, 6, 10, 6),
        (4, 7, 10, 7),
    ] {
        let successor = Story::begin().continued(seconds(after), seconds(backoff));
        assert_eq!(due(successor, seconds(interval)), seconds(expected), "{after} {backoff} {interval}");
    }
    // The start delay of the closed run does not count as its life.
    let successor = Story::begin_after(seconds(60)).continued_after_delay();
    assert_eq!(due(successor, seconds(10)), seconds(10));
}

impl Story {
    fn continued_after_delay(&mut self) -> Successor {
        self.now = self.now + Duration::from_secs(60);
        self.run.handle_timeout(self.now, &mut || Arc::from("next"));
        self.close(Close::Write);
        self.continued(Duration::ZERO, Duration::ZERO)
    }
}

#[test]
fn a_rejected_completion_leaves_no_successor() {
    let mut story = Story::begin();
    let unknown = Message { protocol_instance_id: "nobody".to_owned(), id: "m".to_owned(), ..Default::default() };
    let effects = story.effects_of(RespondWorkflowTaskCompletedRequest {
        commands: vec![continue_as_new(Duration::ZERO)],
        messages: vec![unknown],
        ..Default::default()
    });
    assert!(story.run.is_open() && effects.successor.is_none());
    let successor = story.continued(Duration::ZERO, Duration::ZERO);
    let run = Run::follow(successor, "request".into(), Duration::ZERO).unwrap();
    assert_eq!((&*run.info.run_id, &*run.info.first_run_id, &*run.info.workflow_id), ("next", "run", "w"));
}
