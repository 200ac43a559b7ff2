//! The number of kills and power losses that every change must survive; and planted faults, to show that faults are found.

use std::process::{Command, Output};

use serde_json::Value;

struct Run {
    code: Option<i32>,
    lines: Vec<Value>,
    errors: String,
}

fn run(arguments: &[&str]) -> Run {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_everloop-crash")).args(arguments).output().unwrap();
    let text = String::from_utf8(stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Run { code: status.code(), lines, errors: String::from_utf8_lossy(&stderr).into_owned() }
}

/// Returns the one line of output of a run without violations.
fn well(arguments: &[&str]) -> Value {
    let Run { code, mut lines, errors } = run(arguments);
    assert!(code == Some(0) && lines.len() == 1, "{arguments:?}: {code:?}, {lines:?}\n{errors}");
    let line = lines.remove(0);
    assert_eq!(line["violations"], 0, "{line}\n{errors}");
    line
}

fn count(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap_or_else(|| panic!("{name} in {line}"))
}

#[test]
fn acknowledged_operations_survive_kills() {
    let line = well(&["--kills", "100", "--seed", "1"]);
    assert_eq!((count(&line, "kills"), count(&line, "seed")), (100, 1));
    assert!(count(&line, "in_commit") >= 20, "{line}");
    assert!(count(&line, "acknowledged") >= 1000, "{line}");
    assert!(count(&line, "bounded_attempts") >= 100, "{line}");
    assert!(line["restart_ms_p50"].as_f64() > Some(0.0) && line["restart_ms_max"].as_f64() > Some(0.0), "{line}");
}

#[test]
fn acknowledged_operations_survive_power_losses() {
    let line = well(&["--power-losses", "1000", "--seed", "1"]);
    assert_eq!((count(&line, "power_losses"), count(&line, "seed")), (1000, 1));
    assert!(count(&line, "acknowledged") >= 1000, "{line}");
    assert!(count(&line, "torn") >= 100 && count(&line, "dropped") >= 100, "{line}");
}

/// Runs with a planted fault; returns what the run printed about the violations it found.
///
/// Each violation names a folder with what the disk kept. Under `lying-syncs` that may be no database file at all: the entry of
/// a new file in its directory is one of the things that were never synced.
fn found(arguments: &[&str]) -> String {
    let Run { code, lines, errors } = run(arguments);
    assert_eq!(code, Some(1), "{arguments:?}: {lines:?}\n{errors}");
    assert!(lines.len() == 1 && count(&lines[0], "violations") > 0, "{lines:?}");
    let folders: Vec<_> = errors.split("kept in ").skip(1).filter_map(|rest| rest.lines().next()).collect();
    assert!(!folders.is_empty(), "{errors}");
    for folder in folders {
        std::fs::remove_dir_all(folder).unwrap_or_else(|error| panic!("{folder}: {error}\n{errors}"));
    }
    errors
}

#[test]
fn disk_that_lies_about_syncs_is_found() {
    let errors = found(&["--power-losses", "40", "--seed", "1", "--planted", "lying-syncs"]);
    assert!(errors.contains("power loss"), "{errors}");
}

#[test]
fn lost_acknowledged_signal_is_found() {
    for often in [["--kills", "6"], ["--power-losses", "60"]] {
        let errors = found(&[&often[..], &["--seed", "1", "--planted", "acknowledgement"]].concat());
        assert!(errors.contains("never-sent"), "{errors}");
    }
}

#[test]
fn invalid_arguments_are_reported() {
    for (arguments, message) in [
        (&[][..], "nothing to do: give counts"),
        (&["--kills", "some"], "invalid value 'some'"),
        (&["child", "--file", "x", "--mode", "grpc", "--kill", "begin:0"], "`begin:0` is no moment of a commit"),
        (&["child", "--file", "nowhere/x", "--mode", "grpc"], "nowhere/x: there is no folder"),
    ] {
        let Run { code, lines, errors } = run(arguments);
        assert!(code == Some(2) && lines.is_empty(), "{arguments:?}: {code:?}, {lines:?}");
        assert!(errors.contains(message), "{arguments:?}: {errors}");
    }
}
