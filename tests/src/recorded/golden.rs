//! The recorded histories: their bytes, and their timelines for readers.

use std::{fs, path::PathBuf};

use everloop::client::History;
use expect_test::expect_file;

use super::stage::Cache;

/// Reads a recorded history.
pub(super) fn read(name: &str, cache: Cache) -> History {
    let path = path(name, cache);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let history = History::from_bytes(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // Recordings never change; their timelines may.
    expect_file![path.with_extension("txt")].assert_eq(&history.timeline());
    history
}

/// Saves a history, unless it exists: recordings are never replaced.
pub(super) fn record(name: &str, cache: Cache, history: &History) {
    let path = path(name, cache);
    if path.exists() {
        return;
    }
    fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder can be made");
    fs::write(path.with_extension("txt"), history.timeline()).expect("the timeline can be written");
    // A concurrent reader sees the whole file or none.
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, history.to_bytes()).expect("the history can be written");
    fs::rename(&unfinished, &path).expect("the history can take its place");
}

fn path(name: &str, cache: Cache) -> PathBuf {
    let suffix = match cache {
        Cache::On => "cached",
        Cache::Off => "uncached",
    };
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/recorded").join(format!("{name}-{suffix}.pb"))
}
