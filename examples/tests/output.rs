//! The examples print the documented output, in this process and with time skipping.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Returns the output of an example, which must succeed.
fn output(example: &str) -> String {
    // Cargo builds a package's examples with its tests, into a folder beside that of the tests.
    let tests = env::current_exe().expect("a test runs from a file");
    let mut program: PathBuf = tests.ancestors().nth(2).expect("it lies in a profile's folder").join("examples");
    program.push(format!("{example}{}", env::consts::EXE_SUFFIX));
    let mut command = Command::new(&program);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TEMPORAL_")) {
        command.env_remove(name);
    }
    let output = command.stderr(Stdio::inherit()).output().unwrap_or_else(|error| {
        panic!("{}: {error}; `cargo build -p everloop-examples --examples` makes it", program.display())
    });
    assert!(output.status.success(), "{example}: {}", output.status);
    String::from_utf8(output.stdout).expect("examples print text")
}

/// The README shows the output line for line, except for the timeline and the shop's port, which differ from run to run.
fn constant(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.get(..4).is_none_or(|id| id.trim_start().parse::<u32>().is_err())).collect()
}

#[test]
fn one_click_buy_prints_the_output_of_the_readme() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```text\nbuy-1: ").expect("the README shows what it prints");
    let (shown, _) = rest.split_once("\n```").expect("the block ends");
    let printed = output("one_click_buy");
    assert_eq!(constant(&printed), constant(&format!("buy-1: {shown}")), "it printed:\n{printed}");
}

/// Takes the ten seconds of the purchase.
#[test]
fn purchase_survives_kill_of_its_program() {
    let printed = output("survive_a_crash");
    assert!(printed.contains("first  is killed after"), "{printed}");
    assert!(printed.contains("second opened the file: purchases under way: 1"), "{printed}");
    assert!(printed.contains("second has a receipt for a red lamp"), "{printed}");
    assert!(printed.ends_with("exit status: 0\n") || cfg!(not(unix)), "{printed}");
}

#[test]
fn hello_greets() {
    assert_eq!(output("hello"), "activity: greeting world\nresult: Hello, world!\n");
}

#[test]
fn signals_fill_cart_and_queries_see_it() {
    assert_eq!(
        output("signals_and_queries"),
        "started with [\"apples\"]\n\
         now there are [\"apples\", \"bread\", \"cheese\"]\n\
         checked out, 3 items: apples, bread, cheese\n\
         and still there are [\"apples\", \"bread\", \"cheese\"]\n"
    );
}

#[test]
fn declined_payment_releases_reservation() {
    assert_eq!(
        output("declined_payment"),
        "activity: reserved a lamp\n\
         activity: charges card 42, attempt 1\n\
         activity: charges card 42, attempt 2\n\
         lamp: receipt for card 42\n\n\
         activity: reserved a piano\n\
         activity: charges card 13, attempt 1\n\
         activity: released the piano\n\
         piano: declined, code 51\n\n\
         activity: reserved a boat\n\
         activity: charges card 99, attempt 1\n\
         activity: charges card 99, attempt 2\n\
         activity: charges card 99, attempt 3\n\
         activity: released the boat\n\
         boat: the workflow failed: activity `charge`: the activity failed: Unreachable: the bank does not answer\n\n"
    );
}

#[test]
fn cancelled_trip_is_cleaned_up() {
    assert_eq!(
        output("cancellation"),
        "activity: booked a hotel in Lisbon\n\
         the trip has booking 4711\n\
         activity: gave back booking 4711\n\
         the trip was cancelled\n"
    );
}

#[test]
fn activity_is_completed_by_a_person() {
    assert_eq!(
        output("complete_later"),
        "activity: mailed a link for a lamp\n\
         person: Approved\n\
         a lamp: paid\n\
         activity: mailed a link for a piano\n\
         person: Rejected { reason: \"we have one\" }\n\
         a piano: not paid, we have one\n"
    );
}

#[test]
fn prices_are_looked_up_within_one_workflow_task() {
    assert_eq!(output("local_activities"), "receipt over 225\n4 results in 2 workflow tasks\n");
}

#[test]
fn encrypted_visit_survives_change_of_its_key() {
    assert_eq!(
        output("encryption"),
        "Ada: rest\n\
         payload codec: a payload is encrypted with the key `2026-11`, and only these are known here: `2026-12`; \
         add it with `add_key`\n"
    );
}

#[test]
fn subscription_continues_year_after_year() {
    let printed = output("subscription");
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "activity: bill 12 of Ann for 5",
            "after 15 months: 15 bills",
            "activity: bill 24 of Ann for 7",
            "cancelled after 30 bills"
        ],
        "{printed}"
    );
    assert!(lines[4].starts_with("year 1: ") && lines[4].ends_with("WorkflowExecutionContinuedAsNew"), "{printed}");
    assert!(lines[5].ends_with("WorkflowExecutionContinuedAsNew"), "{printed}");
    assert!(lines[6].starts_with("year 3: ") && lines[6].ends_with("WorkflowExecutionCompleted"), "{printed}");
}

#[test]
fn tenant_and_trace_reach_the_activity() {
    assert_eq!(
        output("interceptors"),
        "invoice 1 for Ada (trace-1)\n\
         invoice 2 for Bob (trace-2)\n\
         an interceptor of the client refused the call: no request is known\n\
         2 attempts completed, 2 failed\n"
    );
}
