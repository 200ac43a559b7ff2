//! Generates the code of `everloop-proto` from the published `.proto` files.
//!
//! ```text
//! cargo run -p everloop-proto-generator      write proto/src/generated
//! cargo test -p everloop-proto-generator     fail if what is committed is not what would be written
//! ```

mod attributes;
mod code;
mod committed;
mod described;
mod prune;
mod source;

use std::{error::Error, path::Path};

/// The error of any step; it ends the program with a message.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let files = generate()?;
    let changed = committed::differences(&committed::folder(), &files)?;
    committed::write(&committed::folder(), &files)?;
    println!("{} files, changed: {changed:?}", files.len());
    Ok(())
}

/// Runs all steps: finds, compiles and prunes the published files, and generates Rust and the descriptors.
fn generate() -> Result<code::Files> {
    let protos = source::locate(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let mut descriptors = source::compile(&protos)?;
    prune::prune(&mut descriptors, source::ROOTS);
    let described = described::encode(&descriptors, described::MESSAGES);
    let requests = described::requests(&descriptors, source::WORKFLOW_SERVICE);
    let requests = described::encode(&descriptors, &requests);
    let mut files = code::generate(descriptors.clone())?;
    attributes::append(&mut files, &descriptors)?;
    files.insert(described::FILE.to_owned(), described);
    files.insert(described::REQUESTS_FILE.to_owned(), requests);
    Ok(files)
}

#[cfg(test)]
mod tests {
    use crate::{committed, generate};

    #[test]
    fn committed_code_is_current() {
        let files = generate().unwrap();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            committed::write(&committed::folder(), &files).unwrap();
        }
        let differences = committed::differences(&committed::folder(), &files).unwrap();
        assert!(
            differences.is_empty(),
            "run `cargo run -p everloop-proto-generator`; these files are not current: {differences:?}"
        );
    }
}
