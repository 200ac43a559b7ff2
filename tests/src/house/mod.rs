//! House checks: rules for every file of the repository. Each check reports the file and line of a violation.

mod circles;
mod files;
mod layers;

use std::collections::BTreeSet;
use std::path::Path;

use files::{SourceFile, repository, root};

/// Maximum length of a Rust file that is neither generated nor a test.
const LINES_MAX: usize = 500;
/// Maximum length of a file of tests.
const TEST_LINES_MAX: usize = 800;

/// Fails with one line for each finding.
fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// `path:line: text` for every line of `files` that contains one of `needles`.
fn lines_with(files: &[SourceFile], needles: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files {
        for (index, line) in file.text.lines().enumerate() {
            if needles.iter().any(|needle| line.contains(needle)) {
                findings.push(format!("{}:{}: {}", file.path.display(), index + 1, line.trim()));
            }
        }
    }
    findings
}

fn rust_files() -> Vec<SourceFile> {
    let mut files = repository();
    files.retain(|file| file.path.extension().is_some_and(|extension| extension == "rs"));
    assert!(files.len() > 20, "the walk finds the sources");
    files
}

#[test]
fn nothing_is_unfinished() {
    let needles = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    assert_none(&lines_with(&rust_files(), &needles));
}

#[test]
fn no_test_is_switched_off() {
    let name = "ignore";
    let needles = [format!("#[{name}"), format!("```{name}")];
    assert_none(&lines_with(&rust_files(), &needles));
}

#[test]
fn no_path_is_of_one_machine() {
    let needles = ["work", "tmp", "root", "home", "Users"].map(|folder| format!("/{folder}/"));
    let mut findings = lines_with(&repository(), &needles);
    // Inside a longer path or an address, such a name does not refer to a machine.
    findings.retain(|finding| {
        let line = finding.splitn(3, ':').nth(2).expect("findings have a path, a line number and a text");
        needles.iter().flat_map(|needle| line.match_indices(needle)).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|before| before.is_alphanumeric() || ".}_-*)".contains(before))
        })
    });
    assert_none(&findings);
}

#[test]
fn no_file_is_too_long() {
    let too_long = rust_files().into_iter().filter(|file| !file.is_generated());
    let findings = too_long.filter_map(|file| {
        let lines = file.text.lines().count();
        let is_test = file.path.iter().any(|part| part == "tests" || part == "ui-tests" || part == "tests.rs");
        let max = if is_test { TEST_LINES_MAX } else { LINES_MAX };
        (lines > max).then(|| format!("{}: {lines} lines, at most {max}", file.path.display()))
    });
    assert_none(&findings.collect::<Vec<_>>());
}

#[test]
fn files_that_the_architecture_names_exist() {
    let files = repository();
    let architecture = files.iter().find(|file| file.path == Path::new("ARCHITECTURE.md")).expect("it is at the root");
    let mut findings = Vec::new();
    for (index, line) in architecture.text.lines().enumerate() {
        for name in line.split('`').skip(1).step_by(2) {
            // Names in capitals stand for names to be chosen.
            let is_file = name.ends_with(".rs") && !name.contains(|c: char| c.is_uppercase() || " *:".contains(c));
            if is_file && !files.iter().any(|file| file.path.ends_with(name)) {
                findings.push(format!("ARCHITECTURE.md:{}: there is no `{name}`", index + 1));
            }
        }
    }
    assert_none(&findings);
}

#[test]
fn wrong_programs_and_their_messages_come_in_pairs() {
    let files = repository();
    let with_extension = |name: &'static str| {
        let files = files.iter().filter(move |file| file.path.extension().is_some_and(|extension| extension == name));
        files.map(|file| file.path.with_extension("")).collect::<BTreeSet<_>>()
    };
    let messages = with_extension("stderr");
    let folders = messages.iter().filter_map(|path| path.parent()).collect::<BTreeSet<_>>();
    let mut programs = with_extension("rs");
    programs.retain(|path| path.parent().is_some_and(|folder| folders.contains(folder)));
    let alone = messages.symmetric_difference(&programs);
    assert_none(&alone.map(|path| format!("{}: .rs or .stderr is missing", path.display())).collect::<Vec<_>>());
}

/// Packages that repeat the lints of the workspace because they cannot forbid `unsafe` code, with the reason.
const WITH_UNSAFE_CODE: [(&str, &str); 1] = [("tools/faulty-vfs/Cargo.toml", "SQLite calls it through pointers")];

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    let manifests = repository().into_iter().filter(|file| {
        file.path.file_name().is_some_and(|name| name == "Cargo.toml") && file.text.contains("[package]")
    });
    let others = manifests.filter(|file| {
        let may = WITH_UNSAFE_CODE.iter().any(|(path, _)| file.path == Path::new(path));
        let lints = if may { "[lints.rust]\nunsafe_code = \"deny\"\n" } else { "[lints]\nworkspace = true\n" };
        !file.text.contains(lints)
    });
    assert_none(&others.map(|file| format!("{}: has lints of its own", file.path.display())).collect::<Vec<_>>());
}

#[test]
fn both_licences_are_there() {
    for (name, words) in [("LICENSE-MIT", "Permission is hereby granted"), ("LICENSE-APACHE", "Version 2.0")] {
        let text = std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(text.contains(words), "{name} is not what its name says");
    }
}

#[test]
fn the_engine_reports_the_version_of_the_server_that_tests_compare_it_with() {
    let read =
        |path: &str| std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let modules = read("tests/reference/go.mod");
    let compared = modules.lines().find_map(|line| line.trim().strip_prefix("go.temporal.io/server v"));
    let reported = format!("COMPATIBLE_VERSION: &str = \"{}\"", compared.expect("go.mod names the server"));
    assert!(
        read("server/src/service/calls/info.rs").contains(&reported),
        "{reported}: not in server/src/service/info.rs"
    );
}
