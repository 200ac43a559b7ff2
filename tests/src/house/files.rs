//! The files of the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A text file.
pub(super) struct SourceFile {
    /// Relative to the root of the repository.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl SourceFile {
    /// Whether the file is generated.
    pub(super) fn is_generated(&self) -> bool {
        self.text.starts_with("// @generated")
    }
}

/// The folder of the workspace.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is a folder of the workspace").to_owned()
}

/// Returns all text files except lock files, whose content comes from other projects.
pub(super) fn repository() -> Vec<SourceFile> {
    let mut files = Vec::new();
    let root = root();
    walk(&root, &root, &mut files);
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn walk(folder: &Path, root: &Path, files: &mut Vec<SourceFile>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Output of builds and tools, and git's own data; in a second working tree `.git` is a file.
        if matches!(&*name, "target" | "wip" | "__pycache__" | ".git" | ".venv") {
            continue;
        }
        let kind = entry.file_type().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if kind.is_dir() {
            walk(&path, root, files);
        } else if kind.is_file() && !name.ends_with(".lock") && name != "go.sum" {
            // A file that is not UTF-8 is not text.
            if let Ok(text) = fs::read_to_string(&path) {
                let path = path.strip_prefix(root).expect("the walk begins at the root").to_owned();
                files.push(SourceFile { path, text });
            }
        }
    }
}
