//! Deliberate differences between our engine and the real server.

/// One difference in the transcript of one scenario.
struct Difference {
    /// The scenario, or the module of scenarios with a slash behind it.
    scenario: &'static str,
    /// The text of the real server.
    theirs: &'static str,
    ours: &'static str,
    /// Why our behaviour is better, or cheaper without a disadvantage.
    reason: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        scenario: "activities/a_failure_needs_its_kind",
        theirs: "   7 ActivityTaskFailed {\n",
        ours: "   7 ActivityTaskFailed {\n       failure: {}\n",
        reason: "a failed activity always has a failure, be it an empty one",
    },
    Difference {
        scenario: "activities/completed_by_id",
        theirs: "cannot find pending activity with ActivityID a, check workflow execution history for more details",
        ours: "invalid activityID or activity already timed out or invoking workflow is completed",
        reason: "one text for all ways in which an activity is not there",
    },
    Difference {
        scenario: "activities/unknown_ids",
        theirs: "cannot find pending activity with ActivityID nobody, check workflow execution history for more details",
        ours: "invalid activityID or activity already timed out or invoking workflow is completed",
        reason: "one text for all ways in which an activity is not there",
    },
    Difference {
        scenario: "activity_timeouts/start_to_close_is_retried",
        theirs: "      last_worker_identity: \"activity worker\"\n",
        ours: "      last_worker_identity: \"activity worker\"\n      last_attempt_complete_time: <time>\n",
        reason: "an attempt that timed out has an end too",
    },
    Difference {
        scenario: "closing/cancel_refused",
        theirs: "workflow execution not found for workflow ID \"wf\" and run ID \"<id 2>\"",
        ours: "workflow execution not found",
        reason: "one text for all runs that are not there",
    },
    Difference {
        scenario: "histories/descriptions_refused",
        theirs: "workflow execution not found for workflow ID \"wf\" and run ID \"<id 2>\"",
        ours: "workflow execution not found",
        reason: "one text for all runs that are not there",
    },
    Difference {
        scenario: "closing/terminate_by_run",
        theirs: "{reason: \"terminated by user via frontend\", identity: \"client\"}",
        ours: "{identity: \"client\"}",
        reason: "who gives no reason has none",
    },
    Difference {
        scenario: "closing/terminated_while_idle",
        theirs: "  pending_activities: [\n    {activity_id: \"a\", activity_type: \"Work\", state: Scheduled, attempt: 1, \
                 scheduled_time: <time>}\n  ]\n",
        ours: "",
        reason: "nothing is pending in a closed run",
    },
    Difference {
        scenario: "closing/terminated_with_a_waiting_task",
        theirs: "  pending_workflow_task: {state: Scheduled, scheduled_time: <time>, original_scheduled_time: <time>, \
                 attempt: 1}\n",
        ours: "",
        reason: "nothing is pending in a closed run",
    },
    Difference {
        scenario: "continuing/run_timeout_of_the_second",
        theirs: "  pending_workflow_task: {state: Scheduled, scheduled_time: <time>, original_scheduled_time: <time>, \
                 attempt: 1}\n",
        ours: "",
        reason: "nothing is pending in a closed run",
    },
    Difference {
        scenario: "histories/in_pages",
        theirs: ", []]",
        ours: "]",
        reason: "no empty page follows a last page that is full",
    },
    Difference {
        scenario: "listing/filters_that_are_wrong",
        theirs: "a wrong token: Unknown",
        ours: "a wrong token: InvalidArgument",
        reason: "a wrong token is the caller's mistake, here as in every other call",
    },
    Difference {
        scenario: "queries/closed_before_any_task",
        theirs: "Workflow execution closed before WorkflowTaskStarted event",
        ours: "The workflow closed before its first workflow task completed, so it cannot be queried.",
        reason: "said in words of the API",
    },
    Difference {
        scenario: "queries/with_the_next_task",
        theirs: "queries: {\"<id 2>\": ",
        ours: "queries: {\"1\": ",
        reason: "the id of a query need not be unique but within its task",
    },
    Difference {
        scenario: "queries/with_the_next_task_failed",
        theirs: "queries: {\"<id 2>\": ",
        ours: "queries: {\"1\": ",
        reason: "the id of a query need not be unique but within its task",
    },
    Difference {
        scenario: "search_attributes/filters",
        theirs: "TemporalChangeVersion = 'A': [\"both\"]",
        ours: "TemporalChangeVersion = 'A': []",
        reason: "keywords are compared byte by byte, as those of every other attribute are",
    },
    Difference {
        scenario: "signals/with_start_the_same_request",
        theirs: "  first_execution_run_id: \"<id 1>\"\n}\npoll",
        ours: "  first_execution_run_id: \"<id 1>\"\n  started: true\n}\npoll",
        reason: "the same request gets the same answer",
    },
    Difference {
        scenario: "updates/refused_ones",
        theirs: "UpdateWorkflowExecution issued asynchronously and waiting on update admitted is not supported.",
        ours: "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ADMITTED is not supported as a stage to wait for",
        reason: "it names the value to change",
    },
    Difference {
        scenario: "updates/an_idle_run",
        theirs: SHOWN_WITHOUT_IDENTITY_7,
        ours: SHOWN_WITH_IDENTITY_7,
        reason: "a started task that is not written yet is shown as it will be written",
    },
    Difference {
        scenario: "workflow_tasks/failed_twice",
        theirs: SHOWN_WITHOUT_IDENTITY_6,
        ours: SHOWN_WITH_IDENTITY_6,
        reason: "a started task that is not written yet is shown as it will be written",
    },
    Difference {
        scenario: "workflow_tasks/wrong_commands_of_a_retry",
        theirs: SHOWN_WITHOUT_IDENTITY_6,
        ours: SHOWN_WITH_IDENTITY_6,
        reason: "a started task that is not written yet is shown as it will be written",
    },
];

const SHOWN_WITHOUT_IDENTITY_6: &str =
    "   6 WorkflowTaskStarted {scheduled_event_id: 5, request_id: <request>, history_size_bytes: <size>}\n";
const SHOWN_WITH_IDENTITY_6: &str = "   6 WorkflowTaskStarted {
       scheduled_event_id: 5
       identity: \"worker\"
       request_id: <request>
       history_size_bytes: <size>
     }\n";
const SHOWN_WITHOUT_IDENTITY_7: &str =
    "   7 WorkflowTaskStarted {scheduled_event_id: 6, request_id: <request>, history_size_bytes: <size>}\n";
const SHOWN_WITH_IDENTITY_7: &str = "   7 WorkflowTaskStarted {
       scheduled_event_id: 6
       identity: \"worker\"
       request_id: <request>
       history_size_bytes: <size>
     }\n";

/// Fields that the real server sets and ours does not, with the reason.
const UNSENT: &[(&str, &str)] = &[
    ("link", "links between histories are for Nexus, which is not there"),
    ("signal_link", "links between histories are for Nexus, which is not there"),
    ("auto_reset_points", "they are for resets, which are not there"),
    ("prev_auto_reset_points", "they are for resets, which are not there"),
    ("search_attributes", "the server's own entry is the build id of the worker; versioning is not there"),
    ("activity_options", "they are for changing the options of a running activity, which is not there"),
    ("request_id_infos", "they are for links to requests that were attached to a run"),
];

/// Whether a field is excluded from the comparison.
pub(super) fn is_unsent(field: &str) -> bool {
    UNSENT.iter().any(|(name, reason)| *name == field && !reason.is_empty())
}

/// The expected text of our engine where the real server has `theirs`.
pub(super) fn apply(scenario: &str, theirs: String) -> String {
    DIFFERENCES.iter().filter(|difference| difference.scenario == scenario).fold(theirs, |text, difference| {
        assert!(!difference.reason.is_empty() && text.contains(difference.theirs), "{scenario} no longer differs here");
        text.replace(difference.theirs, difference.ours)
    })
}

/// Removes the messages of rejected requests from the transcript: ours have their own wording. The code, the details and the cause
/// are kept.
pub(super) fn without_wording(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let refused = line.find("InvalidArgument: ").map(|at| at + "InvalidArgument: ".len());
        let on_one_line = line.find("failure: {message: \"Bad").map(|at| at + "failure: {message: \"".len());
        let next = lines.peek().map_or("", |next| next.trim_start());
        match (refused.or(on_one_line), next.strip_prefix("message: \"")) {
            (Some(end), _) => out += &format!("{}{}\n", &line[..end], cause(&line[end..])),
            (None, Some(message)) if message.starts_with("Bad") => {
                out += &format!("{line}message: \"{}\n", cause(message));
                // The layout of the failure depends on the message.
                lines.find(|line| line.trim_start() == "}");
            }
            (None, _) => out += &format!("{line}\n"),
        }
    }
    out
}

/// Returns `BadStartTimerAttributes` for `BadStartTimerAttributes: no id`, and nothing for other sentences.
fn cause(text: &str) -> &str {
    text.split_once(':').map_or("", |(cause, _)| if cause.contains(' ') { "" } else { cause })
}

/// Compares both texts line by line: `-` marks expected lines, `+` actual ones.
pub(crate) fn diff(expected: &str, got: &str) -> String {
    let (expected, got): (Vec<_>, Vec<_>) = (expected.lines().collect(), got.lines().collect());
    // Length of the longest common subsequence of the lines from each pair of positions on.
    let mut common = vec![vec![0; got.len() + 1]; expected.len() + 1];
    for (i, left) in expected.iter().enumerate().rev() {
        for (j, right) in got.iter().enumerate().rev() {
            common[i][j] =
                if left == right { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < expected.len() || j < got.len() {
        if i < expected.len() && j < got.len() && expected[i] == got[j] {
            out += &format!("  {}\n", expected[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == got.len() || (i < expected.len() && common[i + 1][j] >= common[i][j + 1]) {
            out += &format!("- {}\n", expected[i]);
            i += 1;
        } else {
            out += &format!("+ {}\n", got[j]);
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    #[test]
    fn diff_shows_expected_and_actual_lines() {
        expect!["  one\n- two\n+ 2\n  three\n"].assert_eq(&super::diff("one\ntwo\nthree", "one\n2\nthree"));
    }
}
