//! The folder of generated code in the repository.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Result, code::Files};

/// `proto/src/generated`.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/generated")
}

/// Makes `folder` contain exactly `files`.
pub(crate) fn write(folder: &Path, files: &Files) -> Result<()> {
    fs::create_dir_all(folder)?;
    for name in names(folder)?.into_iter().filter(|name| !files.contains_key(name)) {
        fs::remove_file(folder.join(name))?;
    }
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

/// Returns the names of files in `folder` that are missing, left over or different.
pub(crate) fn differences(folder: &Path, files: &Files) -> Result<Vec<String>> {
    fs::create_dir_all(folder)?;
    let mut different = names(folder)?;
    different.retain(|name| !files.contains_key(name));
    for (name, bytes) in files {
        if fs::read(folder.join(name)).ok().as_ref() != Some(bytes) {
            different.push(name.clone());
        }
    }
    Ok(different)
}

fn names(folder: &Path) -> Result<Vec<String>> {
    fs::read_dir(folder)?
        .map(|entry| entry?.file_name().into_string().map_err(|name| format!("{name:?} is not UTF-8").into()))
        .collect()
}
