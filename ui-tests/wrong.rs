//! Each program in `wrong/` must not compile, and the compiler's messages must equal the file beside it. A message points
//! at the user's own token and says what was expected and what to write.
//!
//! `TRYBUILD=overwrite cargo test -p everloop-ui-tests` accepts the current messages; review the change like code. The
//! messages are those of the pinned toolchain.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn wrong_programs_are_refused() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("wrong/*.rs");
    cases.compile_fail("wrong/*/*.rs");
    drop(cases); // Runs the cases.
    assert_few_errors();
}

/// Programs of these folders use the item that has the mistake. They should have at most one error more than the same
/// program has without Everloop's attributes and without the uses; the second line of each file says that number.
fn assert_few_errors() {
    for program in ["half_typed", "cascades"].into_iter().flat_map(programs) {
        let (text, messages) = (read(&program), read(&program.with_extension("stderr")));
        let plain: Option<usize> = text.lines().nth(1).and_then(|line| {
            let (count, _) = line.strip_prefix("// In plain Rust: ")?.split_once(' ')?;
            count.parse().ok()
        });
        let plain = plain.unwrap_or_else(|| panic!("{}: the second line has no count", program.display()));
        let errors = messages.lines().filter(|line| line.starts_with("error")).count();
        assert!(errors <= plain + 1, "{}: {errors} errors, {plain} in plain Rust", program.display());
    }
}

fn programs(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wrong").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut programs: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    programs.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    assert!(!programs.is_empty(), "no programs in {}", folder.display());
    programs
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
