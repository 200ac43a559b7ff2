//! Resolves all names of a database file to one path.
//!
//! The lock, the write-ahead log and SQLite must use the same path. SQLite follows symbolic links and gives some names a
//! special meaning (`file:shop.db`, `:memory:`), so a path is resolved once, before its first use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The number of symbolic links that are followed to a file that does not exist yet.
const LINKS_MAX: usize = 40;

/// The reason why a path cannot name a database.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// The notation of SQLite or of an address, which would be a file name here.
    #[error("`{written}` is not the path of a file: {advice}")]
    Spelling { written: String, advice: String },
    /// A hard link: SQLite keeps the log beside the name by which a file was opened, and would not find it by another name.
    #[error(
        "{} is one of {names} hard links to the same file: remove the others, or choose another file; opened under two \
         names, a database is damaged", path.display()
    )]
    HardLinks { path: PathBuf, names: u64 },
    /// The operating system cannot resolve the path.
    #[error("cannot find {}: {source}", path.display())]
    System { path: PathBuf, source: io::Error },
}

/// The absolute path of a database, with symbolic links resolved. The file itself need not exist.
///
/// # Errors
///
/// For a path with a special meaning in SQLite or in addresses, a file with several hard links, and links that the operating
/// system cannot resolve.
pub fn database_path(path: &Path) -> Result<PathBuf, PathError> {
    check_spelling(path)?;
    let resolved = resolve(path).map_err(|source| PathError::System { path: path.to_owned(), source })?;
    match hard_links(&resolved) {
        names @ 2.. => Err(PathError::HardLinks { path: resolved, names }),
        _ => Ok(resolved),
    }
}

fn check_spelling(path: &Path) -> Result<(), PathError> {
    let Some(written) = path.to_str() else { return Ok(()) };
    let refused = |advice: String| Err(PathError::Spelling { written: written.to_owned(), advice });
    if written.is_empty() || written.contains(":memory:") {
        return refused("an engine in memory has no file, leave it out or connect to `memory:`".to_owned());
    }
    let Some(rest) = ["file:", "sqlite:"].iter().find_map(|scheme| written.strip_prefix(scheme)) else { return Ok(()) };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let meant = rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
    refused(format!("write `{}`", if meant.is_empty() { "PATH" } else { meant }))
}

fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..LINKS_MAX {
        match path.canonicalize() {
            Ok(resolved) => return Ok(resolved),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path) };
        path = match (fs::read_link(&path), folder.canonicalize()) {
            // SQLite would create the file at the target of the link.
            (Ok(target), _) => folder.join(target),
            (Err(_), Ok(folder)) => return Ok(folder.join(name)),
            // Opening the file reports the missing folder.
            (Err(_), Err(_)) => return Ok(path),
        };
    }
    Err(io::Error::other("too many symbolic links"))
}

#[cfg(unix)]
fn hard_links(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map_or(0, |file| if file.is_file() { file.nlink() } else { 0 })
}

#[cfg(not(unix))]
fn hard_links(_path: &Path) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_sqlite_and_of_addresses_are_refused_with_the_path_to_write() {
        for (written, advice) in [
            (":memory:", "`memory:`"),
            ("file::memory:?cache=shared", "`memory:`"),
            ("", "`memory:`"),
            ("file:shop.db", "write `shop.db`"),
            ("file:///var/shop.db?mode=ro", "write `/var/shop.db`"),
            ("file://localhost/var/shop.db", "write `/var/shop.db`"),
            ("sqlite:shop.db?clock=skipping", "write `shop.db`"),
            ("sqlite://shop.db", "write `shop.db`"),
        ] {
            let error = database_path(Path::new(written)).unwrap_err().to_string();
            assert!(error.contains(advice), "{written}: {error}");
        }
        let folder = std::env::current_dir().unwrap().canonicalize().unwrap();
        assert_eq!(database_path(Path::new("./file:shop.db")).unwrap(), folder.join("file:shop.db"));
    }

    #[test]
    #[cfg(unix)]
    fn all_paths_to_a_file_resolve_to_one_before_and_after_it_exists() {
        use std::os::unix::fs::symlink;
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().canonicalize().unwrap().join("data");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("shop.db");
        symlink("data", outside.path().join("link")).unwrap();
        symlink("data/shop.db", outside.path().join("shop.link")).unwrap();
        symlink("shop.link", outside.path().join("link.to.link")).unwrap();
        symlink("circle", outside.path().join("circle")).unwrap();
        let names = ["data/shop.db", "data/../link/./shop.db", "shop.link", "link.to.link"];
        for _ in ["missing", "there"] {
            for name in names {
                assert_eq!(database_path(&outside.path().join(name)).unwrap(), file, "{name}");
            }
            fs::write(&file, "").unwrap();
        }
        assert!(database_path(&outside.path().join("circle")).is_err());
        assert_eq!(database_path(Path::new("/none/shop.db")).unwrap(), Path::new("/none/shop.db"));
    }

    #[test]
    #[cfg(unix)]
    fn a_file_with_two_names_is_refused_under_both() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a.db"), folder.path().join("b.db"));
        fs::write(&first, "").unwrap();
        database_path(&first).unwrap();
        fs::hard_link(&first, &second).unwrap();
        for name in [&first, &second] {
            let error = database_path(name).unwrap_err().to_string();
            assert!(error.contains("is one of 2 hard links to the same file: remove the others"), "{error}");
        }
        fs::remove_file(&first).unwrap();
        database_path(&second).unwrap();
    }
}
