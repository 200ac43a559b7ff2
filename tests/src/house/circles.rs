//! The files of some folders must import each other without circles.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::SourceFile;
use super::{assert_none, rust_files};

const FOLDERS: &[&str] = &[
    "runtime/src/activity",
    "runtime/src/client",
    "runtime/src/data",
    "runtime/src/errors",
    "runtime/src/executor",
    "runtime/src/registry",
    "runtime/src/testing",
    "runtime/src/worker",
    "runtime/src/workflow",
    "server/src/bin",
    "server/src/clock",
    "server/src/engine",
    "server/src/grpc",
    "server/src/matching",
    "server/src/namespaces",
    "server/src/service/calls",
    // The files of `calls` and the core that they share import each other; that is the service's only circle.
    "server/src/service/runs",
    "server/src/store",
    "server/src/visibility",
];

/// The modules that each module imports, by their paths below `src`.
type Imports = BTreeMap<Vec<String>, Vec<Vec<String>>>;

#[test]
fn files_of_a_folder_import_each_other_without_circles() {
    let files = rust_files();
    let mut findings = Vec::new();
    for folder in FOLDERS {
        let imports = imports(&files, Path::new(folder));
        assert!(imports.values().any(|named| !named.is_empty()), "the imports of {folder} are found");
        findings.extend(circle(&imports).map(|circle| format!("{folder}: {}", circle.join(" -> "))));
    }
    assert_none(&findings);
}

#[test]
fn a_circle_is_found() {
    let module = |name: &str| vec![name.to_owned()];
    let mut imports =
        Imports::from([(module("a"), vec![module("b")]), (module("b"), vec![module("c")]), (module("c"), Vec::new())]);
    assert_eq!(circle(&imports), None);
    imports.insert(module("c"), vec![module("b")]);
    assert_eq!(circle(&imports).unwrap(), ["b", "c", "b"]);
}

#[test]
fn paths_of_modules_are_resolved() {
    let module: Vec<String> = ["worker", "threads", "run"].map(str::to_owned).into();
    let code = "use super::owners::{Seat, RunOwners};\npub(in crate::worker) struct Part;\npub use crate::worker::{jobs::{Job, Page}, Link};\nself::part::f();\nuse task;";
    let named: Vec<String> = paths(&module, code).iter().map(|path| path.join("::")).collect();
    assert_eq!(
        named,
        [
            "worker::jobs::Job",
            "worker::jobs::Page",
            "worker::Link",
            "worker::threads::owners::Seat",
            "worker::threads::owners::RunOwners",
            "worker::threads::run::part::f",
            "worker::threads::run::task",
        ]
    );
}

/// Returns the imports between files of a folder, without their tests.
fn imports(files: &[SourceFile], folder: &Path) -> Imports {
    let inside = || files.iter().filter(|file| file.path.starts_with(folder) && !is_test(&file.path));
    let modules: Vec<Vec<String>> = inside().map(|file| module(&file.path)).collect();
    let mut imports = Imports::new();
    for file in inside() {
        let from = module(&file.path);
        let code = file.text.split("\nmod tests {").next().expect("a split has a first part");
        let mut named: Vec<Vec<String>> = paths(&from, code).iter().filter_map(|path| home(path, &modules)).collect();
        named.retain(|to| *to != from);
        imports.insert(from, named);
    }
    imports
}

/// Returns the path of a file's module below the crate.
fn module(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let parts = path.iter().map(|part| part.to_string_lossy().into_owned());
    let mut module: Vec<String> = parts.skip_while(|part| part != "src").skip(1).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

fn is_test(path: &Path) -> bool {
    path.iter().any(|part| ["tests", "tests.rs", "model.rs"].iter().any(|name| part == *name))
}

/// Returns the module that a path leads into.
fn home(path: &[String], modules: &[Vec<String>]) -> Option<Vec<String>> {
    (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|prefix| modules.contains(prefix))
}

/// Returns the paths in a module's code, starting at the crate. Paths of other crates look like those of submodules.
fn paths(module: &[String], code: &str) -> Vec<Vec<String>> {
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let code: String = code.lines().filter(|line| !is_comment(line)).flat_map(|line| [line, "\n"]).collect();
    let mut paths = Vec::new();
    for start in ["crate::", "super::", "self::", "use "] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at..];
            // Part of another name, or of `pub(in path)`.
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || "_:$".contains(c)) || code[..at].ends_with("(in ")
            {
                continue;
            }
            let (mut base, mut rest) = match start {
                "crate::" => (Vec::new(), &rest[start.len()..]),
                "super::" => (module.to_vec(), rest),
                _ => (module.to_vec(), &rest[start.len()..]),
            };
            // Other occurrences are found separately.
            if start == "use " && ["crate::", "super::", "self::"].iter().any(|start| rest.starts_with(start)) {
                continue;
            }
            while let Some(above) = rest.strip_prefix("super::") {
                base.pop();
                rest = above;
            }
            expand(base, rest, &mut paths);
        }
    }
    paths
}

/// Adds the paths of `a::{b, c::d}` to a base. Returns the rest of the text.
fn expand<'a>(mut base: Vec<String>, mut rest: &'a str, paths: &mut Vec<Vec<String>>) -> &'a str {
    loop {
        if let Some(list) = rest.strip_prefix('{') {
            rest = list;
            loop {
                rest = expand(base.clone(), rest.trim_start(), paths);
                rest = rest.trim_start().trim_start_matches(',').trim_start();
                if rest.is_empty() {
                    return rest;
                }
                if let Some(end) = rest.strip_prefix('}') {
                    return end;
                }
            }
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        base.push(rest[..end].to_owned());
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(below) => rest = below,
            None => break,
        }
    }
    paths.push(base);
    // A renamed import, or a glob.
    let end = rest.find([',', '}', ';', '\n', '(', ')']).unwrap_or(rest.len());
    &rest[end..]
}

/// Returns the names of a circle, if there is one.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    let mut done = Vec::new();
    imports.keys().find_map(|start| search(imports, &mut vec![start.clone()], &mut done))
}

fn search(imports: &Imports, way: &mut Vec<Vec<String>>, done: &mut Vec<Vec<String>>) -> Option<Vec<String>> {
    let here = way.last().expect("the way has a start").clone();
    for next in imports.get(&here).into_iter().flatten() {
        if let Some(at) = way.iter().position(|module| module == next) {
            let circle = way[at..].iter().chain([next]);
            return Some(circle.map(|module| module.join("::")).collect());
        }
        if !done.contains(next) {
            way.push(next.clone());
            if let Some(circle) = search(imports, way, done) {
                return Some(circle);
            }
            way.pop();
        }
    }
    done.push(here);
    None
}
