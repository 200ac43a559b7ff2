//! The folders of `runtime/src` and of `server/src` form layers: each imports only from layers below it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::files::SourceFile;
use super::{assert_none, rust_files};

/// A crate with its folders and single files, lowest layer first; `lib.rs` is above all of them. Entries of one layer may import
/// each other.
struct Layers {
    sources: &'static str,
    layers: &'static [&'static [&'static str]],
}

/// `client` and `workflow` import each other: a workflow's trait names the handle that a client makes for it.
const RUNTIME: Layers = Layers {
    sources: "runtime/src",
    layers: &[
        &["raw"],
        &["tasks"],
        &["notice"],
        &["data"],
        &["errors"],
        &["history"],
        &["executor"],
        &["activity"],
        &["embedded"],
        &["client", "workflow"],
        &["returned"],
        &["registry"],
        &["worker"],
        &["testing"],
    ],
};

/// `grpc` and `service` import each other: an engine creates its operator and test services, and they call the engine.
const SERVER: Layers = Layers {
    sources: "server/src",
    layers: &[
        &["api"],
        &["limits"],
        &["model"],
        &["stop"],
        &["unheard"],
        &["engine"],
        &["visibility"],
        &["store"],
        &["status"],
        &["clock"],
        &["matching"],
        &["namespaces"],
        &["service", "grpc"],
    ],
};

#[test]
fn folders_of_the_runtime_import_only_lower_layers() {
    assert_layered(&RUNTIME);
}

#[test]
fn folders_of_the_server_import_only_lower_layers() {
    assert_layered(&SERVER);
}

#[test]
fn executor_imports_only_data_errors_and_raw() {
    assert_imports_only(&RUNTIME, "executor", &["data", "errors", "raw"]);
}

#[test]
fn engine_imports_only_the_protocol_limits_and_the_model() {
    assert_imports_only(&SERVER, "engine", &["api", "limits", "model"]);
}

fn assert_layered(of: &Layers) {
    let position = |module: &str| of.layers.iter().position(|layer| layer.contains(&module));
    let mut findings = Vec::new();
    for import in imports(of.sources) {
        match (position(&import.from), position(&import.to)) {
            (Some(from), Some(to)) if from >= to => {}
            (Some(_), Some(_)) => findings.push(format!("{import}, a higher layer than `{}`", import.from)),
            (None, _) => findings.push(format!("{import}: `{}` is in no layer", import.from)),
            (_, None) => findings.push(format!("{import}: `{}` is in no layer", import.to)),
        }
    }
    assert_none(&findings);
}

fn assert_imports_only(of: &Layers, module: &str, allowed: &[&str]) {
    let imports = imports(of.sources);
    assert!(imports.iter().any(|import| import.from == module), "the imports of {module} are found");
    let others = imports.iter().filter(|import| import.from == module);
    let others = others.filter(|import| !allowed.contains(&import.to.as_str()));
    assert_none(&others.map(ToString::to_string).collect::<Vec<_>>());
}

/// One mention of a module of the crate in a file of another module. `lib.rs` and test code are left out.
struct Import {
    path: PathBuf,
    line: usize,
    from: String,
    to: String,
}

impl std::fmt::Display for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: imports `{}`", self.path.display(), self.line, self.to)
    }
}

fn imports(sources: &str) -> Vec<Import> {
    // Programs are crates of their own.
    let programs = Path::new(sources).join("bin");
    let is_in = |file: &SourceFile| file.path.starts_with(sources) && !file.path.starts_with(&programs);
    let files: Vec<SourceFile> = rust_files().into_iter().filter(is_in).collect();
    let homes = homes(&files);
    let tests = test_modules(&files);
    let mut imports = Vec::new();
    for file in &files {
        let module = module_path(&file.path);
        if module.is_empty() || tests.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        for (line, name) in mentions(&module, &code(&file.text)) {
            let is_module = files.iter().any(|file| module_path(&file.path).first() == Some(&name));
            let home = if is_module { Some(&name) } else { homes.get(&name) };
            let to = home.unwrap_or_else(|| panic!("{}:{line}: where is `{name}`?", file.path.display())).clone();
            if to != module[0] {
                imports.push(Import { path: file.path.clone(), line, from: module[0].clone(), to });
            }
        }
    }
    imports
}

/// Returns the path of a file's module below the crate; empty for the crate itself.
fn module_path(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let parts = path.iter().map(|part| part.to_string_lossy().into_owned());
    let mut module: Vec<String> = parts.skip_while(|part| part != "src").skip(1).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

/// Returns where names that the crate re-exports at its root are defined, including macros.
fn homes(files: &[SourceFile]) -> BTreeMap<String, String> {
    let mut homes = BTreeMap::new();
    for file in files {
        let module = module_path(&file.path);
        if module.is_empty() {
            let code = code(&file.text);
            let root = code.split("pub mod prelude").next().expect("a split has a first part");
            for exported in root.split("\npub use ").skip(1) {
                let exported = exported.split(';').next().expect("a split has a first part");
                let Some((home, names)) = exported.split_once("::") else { continue };
                let names = names.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty());
                homes.extend(names.map(|name| (name.to_owned(), home.to_owned())));
            }
            continue;
        }
        for name in file.text.split("macro_rules! ").skip(1).filter_map(|rest| rest.split([' ', '{']).next()) {
            homes.insert(name.to_owned(), module[0].clone());
        }
    }
    homes
}

/// Returns modules in files of their own that only tests use.
fn test_modules(files: &[SourceFile]) -> BTreeSet<Vec<String>> {
    let mut modules = BTreeSet::new();
    for file in files {
        let lines: Vec<&str> = file.text.lines().collect();
        for pair in lines.windows(2) {
            let is_test = pair[0].starts_with("#[cfg(") && pair[0].contains("test");
            let name = pair[1].trim_start_matches("pub(crate) ").strip_prefix("mod ");
            if let (true, Some(name)) = (is_test, name.and_then(|name| name.strip_suffix(';'))) {
                let mut module = module_path(&file.path);
                module.push(name.to_owned());
                modules.insert(module);
            }
        }
    }
    modules
}

/// Returns the lines of a file before its tests, with comments blanked out.
fn code(text: &str) -> String {
    let before_tests = text.lines().take_while(|line| *line != "mod tests {");
    let blanked = before_tests.map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    blanked.flat_map(|line| [line, "\n"]).collect()
}

/// Returns the modules and root names of the crate that a file mentions, with lines: the part after `crate::`, or after enough
/// `super::`.
fn mentions(module: &[String], code: &str) -> Vec<(usize, String)> {
    let mut mentions = Vec::new();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    for (index, line) in code.lines().enumerate() {
        let offset = line.as_ptr() as usize - code.as_ptr() as usize;
        let starts = line.match_indices("crate::").map(|(at, found)| (at, at + found.len()));
        let up = "super::".repeat(module.len());
        let starts = starts.chain(line.match_indices(&up).map(|(at, found)| (at, at + found.len())));
        for (at, end) in starts {
            if line[..at].ends_with(|c: char| is_name(c) || c == '$' || c == ':') {
                continue;
            }
            let rest = &code[offset + end..];
            let names: Vec<&str> = match rest.strip_prefix('{') {
                Some(list) => list.split(['}', ';']).next().unwrap_or_default().split(',').map(str::trim).collect(),
                None => vec![rest],
            };
            let names = names.into_iter().map(|name| name.split(|c| !is_name(c)).next().unwrap_or_default());
            mentions.extend(names.filter(|name| !name.is_empty()).map(|name| (index + 1, name.to_owned())));
        }
    }
    mentions
}
