//! Runs every command, with counts too small for meaningful figures.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Map, Value};

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_everloop-bench"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command, and returns the JSON objects it printed.
fn lines(arguments: &[&str]) -> Vec<Map<String, Value>> {
    let Output { status, stdout, stderr } = bench(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{arguments:?}: {status}: {errors}");
    let text = String::from_utf8(stdout).unwrap();
    let object = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    text.lines().map(object).collect()
}

fn line(arguments: &[&str]) -> Map<String, Value> {
    let mut lines = lines(arguments);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

/// Checks that figures were measured, so are above zero.
fn assert_measured(line: &Map<String, Value>, names: &[&str]) {
    for name in names {
        assert!(line[*name].as_f64().is_some_and(|number| number > 0.0), "{name} in {line:?}");
    }
}

/// Runs a command that must fail, and returns its error message.
fn refusal(arguments: &[&str]) -> String {
    let output = bench(arguments).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A server as a child; it ends with its standard input, at the latest when this is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut process = bench(&["serve"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap_or_else(|| panic!("unexpected first line {line:?}"))
            .to_owned();
        Self { process, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // The exit status is ignored: a failed test drops its server too.
        let _ = self.process.wait();
    }
}

const FEW: [&str; 6] = ["--count", "3", "--concurrency", "2", "--activities", "2"];

#[test]
fn workflows_run_on_engine_in_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("bench.db").display());
    for address in ["memory:", &file] {
        let line = line(&[&["workflows", "--address", address], &FEW[..]].concat());
        assert_eq!(line["target"], address);
        assert_eq!([&line["count"], &line["concurrency"], &line["activities"]], [3, 2, 2]);
        assert_measured(&line, &["workflows_per_s", "p50_ms", "p99_ms"]);
        assert!(line["cpu_s"].is_number() && line["cpu_without_server"] == false, "{line:?}");
        let versions = line["versions"].as_object().unwrap();
        assert_eq!(versions["everloop"], env!("CARGO_PKG_VERSION"));
        assert!(!versions.contains_key("server"), "{versions:?}");
    }
}

#[test]
fn workflows_run_on_server_and_its_cpu_time_is_counted() {
    let server = Server::start();
    let address = format!("http://{}", server.address);
    let pid = server.process.id().to_string();
    let workflows = [&["workflows", "--address", &address], &FEW[..]].concat();
    let alone = line(&workflows);
    let both = line(&[&workflows[..], &["--pid", &pid]].concat());
    assert_eq!((&alone["cpu_without_server"], &both["cpu_without_server"]), (&true.into(), &false.into()));
    assert_measured(&both, &["workflows_per_s", "p50_ms", "p99_ms"]);
    assert!(both["versions"]["server"].as_str().is_some_and(|version| !version.is_empty()), "{both:?}");
}

#[test]
fn replay_measures_every_length() {
    let lines = lines(&["replay", "--events", "11", "--events", "50", "--seconds", "0.01"]);
    let events: Vec<_> = lines.iter().map(|line| &line["events"]).collect();
    assert_eq!(events, [11, 47], "the last length of a run of activities that is not more than asked for");
    for line in &lines {
        assert_measured(line, &["bytes", "replays", "events_per_s", "best_events_per_s"]);
    }
}

#[test]
fn tasks_measure_worker_alone() {
    let line = line(&["tasks", "--count", "7", "--concurrency", "2"]);
    assert_eq!(line["tasks"], 8, "two for each workflow");
    assert_measured(&line, &["tasks_per_s"]);
    assert!(line["cpu_us_per_task"].is_number(), "{line:?}");
}

#[test]
fn local_measures_both_kinds_of_activities() {
    let line = line(&["local", "--count", "20"]);
    assert_eq!(line["count"], 20);
    assert_measured(&line, &["local_p50_us", "local_p99_us", "queued_p50_us", "queued_p99_us", "times_as_fast"]);
}

#[test]
fn timers_measure_many_workflows() {
    let line = line(&["timers", "--address", "memory:", "--count", "3", "--seconds", "0.01"]);
    assert_eq!(line["timers"], 3);
    assert_measured(&line, &["timer_s", "all_done_s"]);
    // Both may be zero.
    assert!(line["late_ms"].is_number() && line["memory_added_mib"].is_number(), "{line:?}");
}

#[test]
fn reopen_measures_file_of_killed_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("open.db");
    let file = file.to_str().unwrap();
    let line = line(&["reopen", "--file", file, "--open", "3"]);
    assert_eq!(line["open"], 3);
    assert_measured(&line, &["ready_ms", "first_result_ms"]);
    let refused = refusal(&["reopen", "--file", file, "--open", "3"]);
    assert!(refused.contains("exists already: name a new file"), "{refused}");
}

#[test]
fn compare_measures_two_servers_in_turns() {
    let server = Server::start();
    let pid = server.process.id().to_string();
    let lines = lines(&[
        "compare",
        "--reference",
        &server.address,
        "--reference-pid",
        &pid,
        "--concurrency",
        "2",
        "--seconds",
        "0.05",
        "--warm-up",
        "0",
    ]);
    let comparisons: Vec<_> = lines.iter().map(|line| &line["comparison"]).collect();
    assert_eq!(comparisons, ["grpc", "in_process"]);
    for line in &lines {
        assert_measured(line, &["ours", "reference", "ratio"]);
        assert_eq!(line["ratios"].as_array().map(Vec::len), Some(2), "{line:?}");
        assert_eq!(line["reference_cpu_without_server"], false);
    }
}

#[test]
fn invalid_arguments_are_reported() {
    for (arguments, message) in [
        (&["workflows", "--address", "memory:", "--pid", "1"][..], "`memory:` is in this process"),
        (&["workflows", "--address", "memory:", "--count", "0"], "0 is not in 1.."),
        (&["workflows", "--address", "nowhere"], "the port is missing"),
        (&["workflows", "--address", "127.0.0.1:1"], "no server answers at http://127.0.0.1:1"),
        (&["workflows", "--address", "127.0.0.1:1", "--pid", "4294967295"], "there is no process 4294967295"),
        (&["replay", "--events", "10"], "10 is not in 11.."),
        (&["replay", "--events", "11", "--seconds", "0"], "in no time nothing can be measured"),
        (&["compare", "--reference", "127.0.0.1:1"], "no server answers at http://127.0.0.1:1"),
        (&["serve", "--address", "127.0.0.1:1"], "`127.0.0.1:1` cannot be served"),
    ] {
        let said = refusal(arguments);
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
}
