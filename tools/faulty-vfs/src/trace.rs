//! The last operations, for the analysis of a run.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::faults::Operation;

/// One operation and its result.
#[derive(Clone, Debug)]
pub struct TraceEntry {
    /// Its place among all operations of the disk, from 1.
    pub number: u64,
    /// The operation that was called.
    pub operation: Operation,
    /// The name of the file, empty for temporary ones.
    pub file: Arc<str>,
    /// The bytes of a read or write; for a truncation, the size that remains.
    pub range: Range<usize>,
    /// The result code that SQLite got, if not `SQLITE_OK`.
    pub error: Option<i32>,
}

impl fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, operation, file, range, error } = self;
        let operation = format!("{operation:?}").to_lowercase();
        write!(f, "{number} {operation} {}", if file.is_empty() { "(temporary)" } else { file })?;
        if *range != (0..0) {
            write!(f, " {range:?}")?;
        }
        error.map_or(Ok(()), |code| write!(f, ": {code}, {}", rusqlite::ffi::code_to_str(code)))
    }
}

#[derive(Debug)]
pub(crate) struct Trace {
    entries: VecDeque<TraceEntry>,
    entries_max: usize,
    last: u64,
}

impl Trace {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { entries: VecDeque::new(), entries_max, last: 0 }
    }

    pub(crate) fn add(&mut self, operation: Operation, file: &Arc<str>, range: Range<usize>, error: Option<i32>) {
        self.last += 1;
        if self.entries_max == 0 {
            return;
        }
        if self.entries.len() == self.entries_max {
            self.entries.pop_front();
        }
        self.entries.push_back(TraceEntry { number: self.last, operation, file: file.clone(), range, error });
    }

    pub(crate) fn entries(&self) -> Vec<TraceEntry> {
        self.entries.iter().cloned().collect()
    }
}
